"""What of a message is said aloud."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput, TooLarge
from chorus.speech.voice.text import spoken_form


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("We sail  at \n\n  dawn.", "We sail at\ndawn."),
        ("**Bold** _and_ ~~struck~~ `code`", "Bold _and_ struck code"),
        ("See https://example.org/a?b=c now", "See now"),
        ("Ask <@123> or <@!456> in <#789>", "Ask or in"),
        ("Hi <:wave:123456>", "Hi"),
        ("```py\nprint(1)\n``` runs", "runs"),
        ("so: ```never closed", "so:"),
        ("[docs](https://example.org/a) and <https://example.org>", "docs and"),
        ("<a:party:12> <id:browse> </ask:5> <t:1700000000:R> yes", "yes"),
        ("> quoted\n- listed\n...\n# headed", "quoted\nlisted\nheaded"),
        ("See [x](https://a/b_(c)) or [y](<https://a>).", "See x or y."),
        ("the ||butler|| did it", "the hidden did it"),
        ("5 * 3 is 15 🦊", "5 3 is 15"),
        ("a\x00b\x1b[31mc\u202e", "a b [31mc"),
        ("日本語 Привет", "日本語 Привет"),
    ],
)
def test_marks_are_not_spelled_out(written: str, said: str) -> None:
    assert spoken_form(written, most=100) == said


@pytest.mark.parametrize(
    "text", ["", "   \n", "...", "🦊 ❤️", "```x```", "https://example.org", "**", "\x00\x01", "\u200b"]
)
def test_nothing_to_say(text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        spoken_form(text, most=100)
    assert error.value.code == "nothing_to_say"


def test_a_long_text_is_refused_with_its_length() -> None:
    assert spoken_form("a" * 100, most=100)
    with pytest.raises(TooLarge) as error:
        spoken_form("a" * 101, most=100)
    assert (error.value.code, error.value.param) == ("text_too_long", "text")
    assert "101 characters; at most 100" in error.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("One two. Three four. Five six.", "One two. Three four."),
        ('He said: "Go now." And then we all went.', 'He said: "Go now."'),
        ("```" + "x" * 99 + "``` One.", "One."),
        ("one two three four five six", "one two three four"),
        ("a" * 99, "a" * 20),
        ("一二三四五。六七八九十。一二三四五六七八九十", "一二三四五。六七八九十。"),
    ],
)
def test_a_text_that_may_be_cut_ends_with_a_sentence(text: str, said: str) -> None:
    assert spoken_form(text, most=20, cut=True) == said


@given(st.text(alphabet='ab .,!?\n。("', max_size=100))
def test_what_is_cut_is_no_longer_than_it_may_be(text: str) -> None:
    with suppress(InvalidInput):
        assert 0 < len(spoken_form(text, most=20, cut=True)) <= 20


@given(st.text(max_size=200))
def test_whatever_is_written_are_lines_without_control_characters(text: str) -> None:
    try:
        said = spoken_form(text, most=200)
    except InvalidInput:
        return
    for line in said.split("\n"):
        assert line
        assert line == " ".join(line.split())
        assert line.isprintable()


@pytest.mark.parametrize(
    "text",
    ["`" * 20_000, "<" * 20_000, "||" * 10_000, "> " * 10_000, "*" * 19_999 + "a", "[](http://(a)" * 1500],
)
def test_text_made_to_be_slow_is_not(text: str) -> None:
    started = time.perf_counter()
    with suppress(InvalidInput):
        spoken_form(text, most=20_000)
    assert time.perf_counter() - started < 1
