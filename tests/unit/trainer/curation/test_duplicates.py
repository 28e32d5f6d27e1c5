"""Duplicates: all exact ones, nearly all near ones, and hardly ever a message that is its own."""

import pytest

from chorus.trainer.curation.duplicates import ALWAYS, EXACT, NEAR, SHARE, Duplicates
from tests.support import corpora

MESSAGES = corpora.distinct(1, 8000)  # enough for the table of bands to grow


def test_every_planted_exact_duplicate_is_found() -> None:
    duplicates = Duplicates()
    duplicates.flags(MESSAGES)
    assert set(duplicates.flags(corpora.again(2, MESSAGES))) == {EXACT}


@pytest.mark.parametrize("words", [8, 10, 20, 60])
def test_planted_near_duplicates_are_found(words: int) -> None:
    messages = corpora.distinct(words, 2000, words=words)
    duplicates = Duplicates()
    duplicates.flags(messages)
    flags = duplicates.flags(corpora.edited(3, messages))
    assert sum(flag is not None for flag in flags) >= 0.98 * len(flags)
    assert flags.count(NEAR) >= 0.9 * len(flags)


def test_messages_that_are_their_own_are_kept() -> None:
    assert [flag for flag in Duplicates().flags(MESSAGES) if flag] == []
    chat = list(dict.fromkeys(corpora.chat(4, 8000)))
    flags = Duplicates().flags(chat)
    assert sum(flag is not None for flag in flags) <= 0.01 * len(chat)


def test_batches_make_no_difference() -> None:
    messages = [*MESSAGES[:900], *corpora.edited(5, MESSAGES[:300]), *corpora.again(6, MESSAGES[:300])]
    duplicates = Duplicates()
    in_batches = [flag for at in range(0, 1500, 70) for flag in duplicates.flags(messages[at : at + 70])]
    assert in_batches == Duplicates().flags(messages)
    assert in_batches.count(NEAR) > 250


def test_short_messages_come_back_but_do_not_take_over() -> None:
    flags = Duplicates().flags(["good morning all", "lol"] * 4000)
    kept = flags.count(None) / 2
    assert ALWAYS <= kept <= ALWAYS + 8000 / SHARE
    assert set(flags) == {None, EXACT}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't do that again, please!", "  DON’T do   that again please"),
        ("Schöne Grüße aus Köln", "scho\u0308ne gru\u0308sse aus ko\u0308ln"),
        ("**one** _two_ three: four…", "one two “three” four"),
        ("ｗｉｄｅ letters are letters too", "wide letters are letters too"),
        ("我觉得这个游戏真的很好玩。", "我觉得这个游戏真的很好玩！"),
        ("x" * 2_000_000, "x" * 2_000_000),
        ("half an emoji \ud83d here", "half an emoji \ud83d HERE"),
    ],
)
def test_the_same_words_are_the_same_message(one: str, other: str) -> None:
    assert Duplicates().flags([one, other])[-1] == EXACT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("see you there at the cinema tonight :)", "will you be at the theatre with them then"),
        ("5 + 5 is 10 you know", "5 - 5 is 10 you know"),
        (":)", ":("),
        ("今天天气真的非常好我们出去玩吧", "今天作业实在太多我哪里都不能去"),
        # One word of eleven differs, but it is the one that matters.
        ("we meet at 5 pm in room 12 with all of them", "we meet at 6 pm in room 12 with all of them"),
        (
            "look here https://a.example/a1 it is so so good",
            "look here https://a.example/b2 it is so so good",
        ),
        # Two words of nine.
        ("happy birthday anna hope you have a great day", "happy birthday tom hope you have a lousy day"),
        ("this has seven words and no more", "this had seven words and no more"),
    ],
)
def test_other_words_are_another_message(one: str, other: str) -> None:
    assert Duplicates().flags([one, other]) == [None, None]


def test_one_word_in_eight_may_differ() -> None:
    wish = "happy birthday {} hope you have a great day"
    assert Duplicates().flags([wish.format("anna"), wish.format("tom")]) == [None, NEAR]
    room = "the meeting is at 5 pm in room 12 with {}everybody"
    assert Duplicates().flags([room.format(""), room.format("nearly ")]) == [None, NEAR]


def test_the_ends_of_a_very_long_text_are_compared() -> None:
    long = " ".join(corpora.distinct(7, 1000))
    middle = len(long) // 2
    changed = long[:middle] + " one word more " + long[middle:]
    assert Duplicates().flags([long, changed, changed[::-1]]) == [None, NEAR, None]
