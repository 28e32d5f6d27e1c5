"""Chats in JSON: as OpenAI takes them, as ShareGPT shares them."""

import json

import pytest

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import Dropped, Read
from tests.unit.trainer.curation.written import Written, dropped, turns

ASKED = {"role": "user", "content": "a"}
REPLY = {"role": "assistant", "content": "b"}


def lines(*chats: object) -> str:
    return "".join(f"{json.dumps(chat)}\n" for chat in chats)


def test_a_chat_ends_with_its_last_reply(written: Written) -> None:
    chat = {
        "messages": [
            {"role": "system", "content": "be kind"},
            ASKED,
            REPLY,
            {"role": "user", "content": "thanks"},
        ]
    }
    first, second = written.records(f"{lines(chat)}\n{lines({'messages': [ASKED]})}")
    assert turns(first) == [("system", "be kind"), ("user", "a"), ("assistant", "b")]
    assert second == Dropped("no reply to learn")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_and_a_single_chat_are_read_as_well(written: Written, indent: int | None) -> None:
    chat = {"messages": [ASKED, REPLY]}
    assert len(written.records(json.dumps([chat, chat], indent=indent))) == 2
    assert len(written.records(json.dumps(chat, indent=indent))) == 1


def test_sharegpt(written: Written) -> None:
    said = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]
    first, second = written.records(
        json.dumps([{"id": "x", "conversations": said}, {"system": "s", "conversations": said}])
    )
    assert turns(first) == [("user", "a"), ("assistant", "b")]
    assert turns(second)[0] == ("system", "s")


def test_the_texts_among_parts_are_taken(written: Written) -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "here"},
    ]
    only_a_picture = [{"type": "image_url", "image_url": {}}]
    records = written.records(
        lines(
            {"messages": [{"role": "user", "content": parts}, REPLY]},
            {"messages": [{"role": "user", "content": only_a_picture}, REPLY]},
        )
    )
    assert turns(records[0])[0] == ("user", "look\nhere")
    assert dropped(records) == ["empty message"]


def test_chats_with_tools_are_passed_over(written: Written) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    result = {"role": "tool", "content": "12 °C"}
    assert dropped(written.records(lines({"messages": [ASKED, call, result, REPLY]}))) == ["uses tools"]


def test_names_and_labels_are_kept(written: Written) -> None:
    (record,) = written.records(
        lines({"messages": [{**ASKED, "name": "mira"}, REPLY], "label": False, "weight": 0})
    )
    assert isinstance(record, Read)
    assert (record.messages[0].name, record.label) == ("mira", False)


def test_half_a_character_in_a_name_is_told_with_its_line(written: Written) -> None:
    good = {"messages": [ASKED, REPLY]}
    records = written.records(lines(good, {"messages": [{**ASKED, "name": "\udc00"}, REPLY]}))
    assert isinstance(records[1], Dropped)
    assert records[1].mend.startswith("Line 2 has")


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85"])
def test_only_a_line_feed_ends_a_line(written: Written, sign: str) -> None:
    chat = json.dumps(
        {"messages": [ASKED, {"role": "assistant", "content": f"b{sign}c"}]}, ensure_ascii=False
    )
    records = written.records(f"{chat}\r\n{chat}\r\n")
    assert [turns(r)[1][1] for r in records] == [f"b{sign}c"] * 2


def test_one_wrong_line_among_good_ones_is_left_out(written: Written) -> None:
    good = {"messages": [ASKED, REPLY]}
    records = written.records(
        lines(good, {"messages": 3}, {"messages": [{"role": "boss", "content": ""}]}, good)
    )
    assert dropped(records) == ["wrong shape"] * 2
    assert records[1] == Dropped("wrong shape", "Line 2 has no list `messages`, and is left out.")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"messages": [}', "broken_json", "line 1, column 15"),
        ('{"messages": [{"role": "boss", "content": "a"}]}', "wrong_shape", "`messages.0.role`"),
        ('{"messages": [{"role": "user", "content": 3}]}', "wrong_shape", "`messages.0.content`"),
        ('{"conversations": ["a"]}', "wrong_shape", "`conversations.0`"),
        (lines({"messages": [ASKED, REPLY]}) + '{"messages": ' + "1" * 5000 + "}", "broken_json", "line 2"),
        (lines({"messages": [ASKED, REPLY]}) + '{"messages" 3}    x', "broken_json", "line 2, column 13"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(written: Written, text: str, code: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(text)
    assert (error.value.code, words in error.value.message) == (code, True), error.value.message


def test_a_last_line_that_was_cut_off_is_said(written: Written) -> None:
    records = written.records(lines({"messages": [ASKED, REPLY]}) + '{"messages"')
    assert [type(r) for r in records] == [Read, Dropped]
    assert dropped(records) == ["cut off"]


@pytest.mark.parametrize(
    ("contributors", "authors"),
    [
        (["42", "name:Mara", "Tom", "local"], ("42", "name:Mara", "name:Tom", "local")),
        ([], ()),
        ("42", ()),
        ([7, None], ()),
    ],
)
def test_our_own_examples_say_whose_words_they_are(
    written: Written, contributors: object, authors: tuple[str, ...]
) -> None:
    (read,) = written.records(lines({"messages": [ASKED, REPLY], "contributors": contributors}))
    assert isinstance(read, Read)
    assert read.authors == authors
