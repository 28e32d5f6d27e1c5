"""Readers, detection and the card: nothing is lost unsaid, nothing wrong goes unexplained."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.contracts.datasets import Example
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.build import Built, build
from chorus.trainer.curation.readers import TEXT_PIECE


def built(text: str | bytes, *, label: bool = True) -> Built:
    data = text.encode() if isinstance(text, str) else text
    return build(data, label=label, contributor="42", source="file.txt")


def examples(made: Built) -> list[Example]:
    return [Example.model_validate_json(line) for line in made.lines.splitlines()]


PAIRS = '[{"user": "née?", "bot": "née!\\n🌊"}, {"user": "b", "bot": "  "}, {"user": "c", "bot": "d"}]'
CHATS = (
    '{"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "a"}, '
    '{"role": "assistant", "content": "b"}, {"role": "user", "content": "thanks"}]}\n'
    '\n{"messages": [{"role": "user", "content": "nobody answers"}]}\n'
)


def test_pairs() -> None:
    made = built(PAIRS)
    assert made.format == "conversation JSON"
    assert (made.read, made.kept, made.dropped) == (3, 2, {"empty message": 1})
    first = examples(made)[0]
    assert [(t.role, t.content) for t in first.messages] == [("user", "née?"), ("assistant", "née!\n🌊")]
    assert (first.label, first.contributors, first.source) == (True, ["42"], "file.txt")


def test_messages_end_with_their_last_reply() -> None:
    made = built(CHATS)
    assert made.format == "messages JSONL"
    assert (made.read, made.kept, made.dropped) == (2, 1, {"no reply to learn": 1})
    assert [t.role for t in examples(made)[0].messages] == ["system", "user", "assistant"]


def test_plain_text() -> None:
    made = built("One.\n\nTwo, a longer one.\n")
    assert made.format == "plain text"
    (example,) = examples(made)
    assert [(t.role, t.content) for t in example.messages] == [("assistant", "One.\n\nTwo, a longer one.")]


@given(st.lists(st.text(min_size=1).filter(lambda t: t.strip() and "\x00" not in t), min_size=1, max_size=9))
def test_no_word_of_a_text_is_lost(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs) * 20
    try:
        made = built(f"x {text}")
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    pieces = [e.messages[0].content for e in examples(made)]
    assert max(map(len, pieces)) <= TEXT_PIECE + 2 * len(paragraphs) * 20
    assert "".join("".join(pieces).split()) == "".join(f"x {text}".split())


def test_a_long_text_is_cut_into_pieces() -> None:
    made = built("word " * 4000)
    assert made.kept == len(examples(made)) == 10


@pytest.mark.parametrize(
    "start", ["\ufeff", "\ufeff\n  ", "\n\n"], ids=["byte order mark", "and blank lines", "blank lines"]
)
def test_a_byte_order_mark_does_no_harm(start: str) -> None:
    assert built(start + PAIRS).format == "conversation JSON"


def test_a_text_may_begin_like_json() -> None:
    assert built("[12:05] mira: hello\n[12:06] tom: hi").format == "plain text"


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "empty_file", "empty"),
        (b" \n\t ", "empty_file", "empty"),
        ("héllo".encode("latin-1"), "wrong_encoding", "Line 1 is not UTF-8 text (byte 0xe9)"),
        (b"ok\nok\n\xff", "wrong_encoding", "Line 3"),
        ("text".encode("utf-16"), "wrong_encoding", "UTF-8"),
        (b"PK\x03\x04\x00\x00", "not_text", "no text file"),
        (b'[{"user": "a", "bot": "b"},]', "broken_json", "Line 1, column"),
        (b'[\n{"user": "a"\n', "broken_json", "Line 3"),
        (b'{"messages": [}', "broken_json", "Line 1, column 15"),
        (b"[1, 2]", "unknown_format", "something else than objects"),
        (b'{"name": "x"}', "unknown_format", '"name"'),
        (b'[{"user": "a", "bot": 3}]', "wrong_shape", "Entry 1"),
        (b'{"messages": [{"role": "user", "content": "a"}]}\n{"messages": 3}', "wrong_shape", "Line 2"),
        (
            b'{"messages": [{"role": "user", "content": "a"}]}\n{"messages"',
            "broken_json",
            "Line 2, column 12",
        ),
        (b'{"messages": [{"role": "bot", "content": "a"}]}', "wrong_shape", "`messages.0.role`"),
        (b'[{"user": "a", "bot": ""}]', "nothing_to_learn", "1 with empty message"),
        (b'[{"user": "a", "bot": "\\ud83d"}]', "nothing_to_learn", "1 with half a character"),
        (b'[{"a\\ud83d": "b"}]', "unknown_format", '"a?"'),
        (b'[{"user": 1, "bot": ' + b"1" * 5000 + b"}]", "broken_json", "a number has too many digits"),
        (
            b'{"messages": [{"role": "user", "content": "a"}]}\n{"messages": ' + b"1" * 5000 + b"}",
            "broken_json",
            "Line 2: this is not JSON (a number",
        ),
        (b'[{"' + b"k" * 600_000 + b'": 1}]', "unknown_format", f'"{"k" * 60}…"'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, code: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        built(data)
    assert error.value.code == code
    assert words in error.value.message
    assert len(error.value.message.encode()) < 500


@given(st.binary(max_size=200))
def test_hostile_bytes_end_in_words(data: bytes) -> None:
    try:
        made = built(data)
    except InvalidInput as error:
        assert error.message.endswith((".", "?"))
    else:
        assert made.read == made.kept + sum(made.dropped.values())


def test_deep_nesting_ends_in_words() -> None:
    with pytest.raises(InvalidInput):
        built("[" * 100_000)


def test_unwanted_replies_are_marked() -> None:
    assert all(not example.label for example in examples(built(PAIRS, label=False)))


def test_little_data_is_said_to_be_little() -> None:
    many = json.dumps([{"user": str(i), "bot": str(i)} for i in range(10)])
    assert built(PAIRS).warnings
    assert not built(many).warnings


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(sign: str) -> None:
    chat = json.dumps(
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b~c"}]}
    ).replace("~", sign if sign > "\x1f" else "~")
    made = built(f"{chat}\r\n{chat}\r\n")
    assert (made.format, made.kept) == ("messages JSONL", 2)
    assert examples(made)[0].messages[1].content == (f"b{sign}c" if sign > "\x1f" else "b~c")


def test_what_a_cut_emoji_leaves_is_left_out_and_said() -> None:
    whole, half = {"user": "a", "bot": "🦊"}, {"user": "a", "bot": "\ud83e"}
    made = built(json.dumps([whole, half, half, whole, half, half]))
    assert (made.kept, made.dropped) == (2, {"half a character": 4})
    assert made.warnings[1] == "Entry 2 has half a character (\\ud800 to \\udfff alone), and is left out."
    assert made.warnings[2].startswith("Entry 3 has")
    assert made.warnings[-1] == "And 1 more like that."


def test_a_chat_with_half_a_character_in_a_name_is_left_out() -> None:
    asked = {"role": "user", "content": "a", "name": "\udc00"}
    bad = {"messages": [asked, {"role": "assistant", "content": "b"}]}
    made = built(f"{CHATS}{json.dumps(bad)}")
    assert made.dropped["half a character"] == 1
    assert made.warnings[1].startswith("Line 4 has")
