"""Long recordings in overlapping pieces, and their words joined without doubled ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.speech.voice.pieces import OVERLAP, heard, joined, pieces
from chorus.speech.voice.sound import Sound

RATE = 100


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
    assert joined(text, more) == whole


@given(st.integers(2, 60), st.integers(1, 8), st.integers(9, 30))
def test_counting_keeps_its_count(words: int, shared: int, more: int) -> None:
    said = [str(n) for n in range(words + more)]
    assert joined(" ".join(said[:words]), " ".join(said[max(0, words - shared) :])) == " ".join(said)


def test_seven_words_over_and_over_stay_as_many() -> None:
    said = ["one", "two", "three", "four", "five", "six", "seven"] * 10
    text = ""
    for at in range(0, len(said) - 5, 35):
        text = joined(text, " ".join(said[at : at + 40]))
    assert text.split() == said


def test_stretches_are_joined_as_they_are_and_pieces_of_one_by_their_words() -> None:
    words = iter(["yes", "we sail at", "sail at dawn"])
    stretches = [numbered(2), numbered(14)]
    assert list(heard(stretches, lambda _: next(words), most=10.0)) == [
        "yes",
        "yes we sail at",
        "yes we sail at dawn",
    ]
