"""Long recordings in overlapping pieces, and their words in one text again. Pure.

Some engines take a minute at most, and one that is cut in the middle of a word mishears it on both sides of
the cut. So each piece begins a little before the last one ends, and what both have heard is written once.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

OVERLAP = 2.0  # seconds that two pieces share
MOST_SHARED = 8  # words in them: nobody speaks faster for long
MOST_CUT = 2  # words beside a cut that one of both may have misheard


def pieces(sound: Sound, *, most: float) -> Iterator[Sound]:
    """The sound in pieces of at most so many seconds, each but the first with `OVERLAP` of the one before."""
    whole, step = int(most * sound.rate) * SAMPLE_BYTES, int((most - OVERLAP) * sound.rate) * SAMPLE_BYTES
    for at in range(0, max(1, len(sound.samples) - (whole - step)), step):
        yield Sound(sound.samples[at : at + whole], sound.rate)


def heard(stretches: Iterable[Sound], words: Callable[[Sound], str], *, most: float) -> Iterator[str]:
    """The whole text so far, after each piece of each stretch of speech."""
    text = ""
    for stretch in stretches:
        for number, piece in enumerate(pieces(stretch, most=most)):
            more = words(piece)
            text = joined(text, more) if number else f"{text} {more}".strip()
            yield text


def joined(text: str, more: str) -> str:
    """Two texts of which the second begins with what the first ends with, without doubled words.

    Beside the cut either may have misheard a word or two: those of the other are taken. Where the two do not
    agree on anything, all is kept.
    """
    before, after = text.split(), more.split()
    ends = [_bare(word) for word in before[-MOST_SHARED - MOST_CUT :]]
    begins = [_bare(word) for word in after[: MOST_SHARED + MOST_CUT]]
    best, cut, drop = 0, 0, 0
    for lost, skipped in product(range(MOST_CUT + 1), repeat=2):
        ending, beginning = ends[: len(ends) - lost], begins[skipped:]
        shared = _shared(ending, beginning)
        if shared and shared - lost - skipped > best:
            best, cut, drop = shared - lost - skipped, lost, skipped + shared
    return " ".join([*before[: len(before) - cut], *after[drop:]])


def _shared(ending: list[str], beginning: list[str]) -> int:
    """How many words at the end of one are those at the beginning of the other: the most."""
    longest = min(len(ending), len(beginning), MOST_SHARED)
    return next((n for n in range(longest, 0, -1) if ending[-n:] == beginning[:n]), 0)


def _bare(word: str) -> str:
    """The word without capitals and commas, which depend on what stands around it."""
    return "".join(char for char in word.casefold() if char.isalnum())
