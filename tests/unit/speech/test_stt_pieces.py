"""Long recordings in overlapping pieces, and their words joined without doubled ones."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.speech.voice.pieces import OVERLAP, heard, joined, pieces
from chorus.speech.voice.sound import Sound

RATE = 100
LIKELY = 4.0  # words in two seconds


def numbered(seconds: float) -> Sound:
    """Sound whose every sample is another."""
    return Sound(b"".join(n.to_bytes(2, "little") for n in range(int(seconds * RATE))), RATE)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0, 10.01, 12.0, 18.0, 18.01, 61.5, 300.0])
def test_pieces_overlap_and_leave_nothing_out(seconds: float) -> None:
    sound = numbered(seconds)
    parts = list(pieces(sound, most=10.0))
    shared = int(OVERLAP * RATE) * 2
    assert parts[0].samples + b"".join(part.samples[shared:] for part in parts[1:]) == sound.samples
    assert all(part.seconds <= 10.0 for part in parts)
    assert all(part.seconds > OVERLAP for part in parts[1:]), "each has something new"
    assert all(a.samples[-shared:] == b.samples[:shared] for a, b in pairwise(parts))


@pytest.mark.parametrize(
    ("text", "more", "whole"),
    [
        ("", "", ""),
        ("we sail", "", "we sail"),
        ("", "we sail", "we sail"),
        ("we sail at dawn", "at dawn with the tide", "we sail at dawn with the tide"),
        ("We sail at dawn,", "At dawn with the tide.", "We sail at dawn, with the tide."),
        ("we sail at dawn with the", "don with the tide", "we sail at dawn with the tide"),
        ("we sail at dawn wit", "at dawn with the tide", "we sail at dawn with the tide"),
        ("we will sail at dawn wit", "hill sail at dawn with the tide", "we will sail at dawn with the tide"),
        ("nothing in common", "with what follows here", "nothing in common with what follows here"),
        ("мы идём на рассвете", "на рассвете с приливом", "мы идём на рассвете с приливом"),
    ],
)
def test_what_both_have_heard_is_written_once(text: str, more: str, whole: str) -> None:
    assert joined(text, more, LIKELY) == whole


@given(st.integers(2, 60), st.integers(1, 8), st.integers(9, 30))
def test_counting_keeps_its_count(words: int, shared: int, more: int) -> None:
    said = [str(n) for n in range(words + more)]
    text, more = " ".join(said[:words]), " ".join(said[max(0, words - shared) :])
    assert joined(text, more, LIKELY) == " ".join(said)


def test_seven_words_over_and_over_stay_as_many() -> None:
    said = ["one", "two", "three", "four", "five", "six", "seven"] * 10
    text = ""
    for at in range(0, len(said) - 5, 35):
        text = joined(text, " ".join(said[at : at + 40]), 5)
    assert text.split() == said


@given(
    st.lists(st.sampled_from(["no", "one", "two"]), min_size=30, max_size=120),
    st.floats(0.3, 0.6),
)
def test_words_that_repeat_are_not_lost(said: list[str], each: float) -> None:
    """At an even pace, of which one word beside each cut is in neither piece."""
    sound = numbered(len(said) * each)
    text = last(sound, lambda piece: " ".join(_inside(said, each, piece)))
    cuts = len(list(pieces(sound, most=10.0))) - 1
    assert abs(len(text.split()) - len(said)) <= cuts


@given(st.sampled_from(["no", "one two", "one one two"]), st.floats(0.3, 0.6), st.integers(30, 60))
def test_a_word_said_over_and_over_keeps_about_its_count(round_: str, each: float, rounds: int) -> None:
    said = (f"{round_} " * rounds).split()
    sound = numbered(len(said) * each)
    text = last(sound, lambda piece: " ".join(_inside(said, each, piece)))
    cuts = len(list(pieces(sound, most=10.0))) - 1
    assert abs(len(text.split()) - len(said)) <= cuts * len(round_.split())


def last(sound: Sound, words: Callable[[Sound], str]) -> str:
    return list(heard([sound], words, most=10.0))[-1]


def _inside(said: list[str], each: float, piece: Sound) -> list[str]:
    """The words that lie in the piece as a whole."""
    begins = int.from_bytes(piece.samples[:2], "little") / RATE
    ends = begins + piece.seconds
    return [word for n, word in enumerate(said) if begins <= n * each and (n + 1) * each <= ends + 0.01]


def test_stretches_are_joined_as_they_are_and_pieces_of_one_by_their_words() -> None:
    words = iter(["yes", "we sail at", "sail at dawn"])
    stretches = [numbered(2), numbered(14)]
    assert list(heard(stretches, lambda _: next(words), most=10.0)) == [
        "yes",
        "yes we sail at",
        "yes we sail at dawn",
    ]
