"""Markup goes, words stay; commands and bots are told from what people say."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.trainer.curation.clean import clean, is_command
from chorus.trainer.curation.speakers import Speakers
from tests.unit.trainer.curation.built import built, pair, said, words

SPEAKERS = Speakers(
    {"1": "u1", "2": "u2"}, {"ann": "u1", "ann b.": "u2", "élodie": "u1", "gone": "someone"}, None
)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see https://example.org/a_(b)?c=d#e.", "see <link>."),
        ("<https://example.org> and HTTP://X.ORG/", "<link> and <link>"),
        ("[here](https://example.org/x)", "[here](<link>)"),
        ("<@1> <@!2> <@3>", "@u1 @u2 @someone"),
        ("in <#300>, <@&400>", "in #channel, @role"),
        ("<:pog:500> <a:wave_1:501>", ":pog: :wave_1:"),
        ("<t:1700000000:R> <t:1700000000>", "<time> <time>"),
        ("@Ann B. said, @ann's", "@u2 said, @u1's"),
        ("@anna a@ann.org @everyone @ÉLODIE!", "@anna a@ann.org @everyone @u1!"),
        ("  a \t b  \r\n\r\n\r\n  c\r", "a b\n\nc"),
        ("one \x00\x07two\x9f", "one two"),
        ("e\u0301", "é"),
        ("```py\nif a:\n    b\n```", "```py\nif a:\n    b\n```"),
        ("1 < 2 > 0 <3 <not:markup>", "1 < 2 > 0 <3 <not:markup>"),
        ("<@1", "<@1"),
        (" \n ", ""),
    ],
)
def test_a_text_is_cleaned(text: str, cleaned: str) -> None:
    assert clean(text, SPEAKERS) == cleaned


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=60))
def test_no_other_character_is_lost(text: str) -> None:
    if "@" not in text and "<" not in text and "://" not in text:
        assert clean(text, SPEAKERS) == unicodedata.normalize("NFC", text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = clean(text, Speakers({}, {}, None))
    assert clean(once, Speakers({}, {}, None)) == once


def test_hostile_blanks_take_no_time() -> None:
    text = " " * 30_000 + "\n" + " \n" * 10_000 + "@" * 10_000 + "https://" * 3_000
    assert clean(text, SPEAKERS)


@pytest.mark.parametrize(
    "text",
    ["!play it", "!p", "!музыка", "/roll 20", "/shrug", ".help", "-skip", "$balance", "?rank\nme", "!a"],
)
def test_a_command_is_told(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize(
    "text",
    [
        *("...", "?!", "!!", "?", "!", "-", "/", "$"),
        *("- item", "-5 degrees", "-1", "$5", ".5"),
        *("/s", "/home/me", "$AAPL", ".net, really", "no !play", "¿qué?"),
    ],
)
def test_what_looks_like_a_command_is_none(text: str) -> None:
    assert not is_command(text)


def test_short_messages_may_be_left_out() -> None:
    made = built([said("1", "how do you do?"), said("2", "ok", 1), said("2", "well I do", 2)], min_words=3)
    assert made.card.dropped == {"too short": 1}
    assert made.texts() == [["U: how do you do?", "A: well I do"]]


def test_what_is_only_markup_is_no_text() -> None:
    made = built([said("1", "\x00"), said("1", "hi", 1), said("2", "ho", 2)])
    assert made.card.dropped == {"no text": 1}


def test_duplicates_go_or_stay() -> None:
    notice = "the server restarts in a few minutes, please save your work"
    talk = [("1", notice, 0), ("2", "thanks", 1), ("1", notice, 500), ("2", "oh again", 501)]
    told = [said(*message) for message in talk]
    made = built(told)
    assert made.card.dropped == {"exact duplicate": 1, "nobody answered": 1}
    assert built([said(*message) for message in talk], duplicates="keep").card.kept == 4


def test_the_same_example_is_learned_once() -> None:
    made = built([pair(1), pair(1), pair(2), pair(1, label=False)])
    assert made.card.dropped == {"exact duplicate": 1}
    assert (made.card.examples, made.card.positive) == (3, 2), "one unwanted: that is no duplicate"
    assert built([pair(1), pair(1)], duplicates="keep").card.examples == 2


def test_much_that_is_left_out_is_told_with_the_option_that_keeps_it() -> None:
    bots = [said("9", words(n), n, is_bot=True) for n in range(4)]
    made = built([*bots, said("1", "hi", 5), said("2", "ho", 6)])
    assert any("67% of the messages are by bots" in told and "`bots`" in told for told in made.card.warnings)
