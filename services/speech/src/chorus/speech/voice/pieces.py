"""Long recordings in overlapping pieces, and their words in one text again. Pure.

Some engines take a minute at most, and one that is cut in the middle of a word mishears it on both sides of
the cut. So each piece begins a little before the last one ends, and what both have heard is written once.

Words that repeat (`no no no`) fit in many ways: how many of them both have heard, the pace tells.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

OVERLAP = 2.0  # seconds that two pieces share
MOST_SHARED = 8  # words in them: nobody speaks faster for long
MOST_CUT = 2  # words beside a cut that one of both may have misheard
OFF_PACE = 1.5  # words that must agree for each by which an overlap is longer than the pace says


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
            likely = _in_overlap(len(more.split()), piece.seconds)
            text = joined(text, more, likely) if number else f"{text} {more}".strip()
            yield text


def joined(text: str, more: str, likely: float) -> str:
    """Two texts of which the second begins with what the first ends with, without doubled words.

    Beside the cut either may have misheard a word or two: those of the other are taken. Where they fit in
    several ways, as repeated words do, about so many doubled ones are `likely`. Where the two do not agree on
    anything, all is kept.
    """
    before, after = text.split(), more.split()
    ends = [_bare(word) for word in before[-MOST_SHARED - MOST_CUT :]]
    begins = [_bare(word) for word in after[: MOST_SHARED + MOST_CUT]]
    fits = list(_fits(ends, begins))
    if not fits:
        return f"{text} {more}".strip()
    best = max(fits, key=lambda fit: fit.agreed - OFF_PACE * abs(fit.overlap - likely))
    return " ".join([*before[: len(before) - best.lost], *after[best.skipped + best.shared :]])


class _Fit(NamedTuple):
    """One way in which two texts can overlap."""

    shared: int
    """Words that are the same."""
    lost: int
    """Of the first text's end, which are not taken."""
    skipped: int
    """Of the second text's beginning."""

    @property
    def agreed(self) -> int:
        """Words for it, less those against it."""
        return self.shared - self.lost - self.skipped

    @property
    def overlap(self) -> int:
        """Words that both have heard in one way or another."""
        return self.shared + max(self.lost, self.skipped)


def _fits(ends: list[str], begins: list[str]) -> Iterator[_Fit]:
    """Every way for which more words speak than against it."""
    for lost, skipped in product(range(MOST_CUT + 1), repeat=2):
        ending, beginning = ends[: len(ends) - lost], begins[skipped:]
        longest = min(len(ending), len(beginning), MOST_SHARED)
        for shared in range(lost + skipped + 1, longest + 1):
            if ending[-shared:] == beginning[:shared]:
                yield _Fit(shared, lost, skipped)


def _in_overlap(words: int, seconds: float) -> float:
    """How many words of a piece the one before has heard, too, at an even pace; a cut one is in neither."""
    return max(1.0, OVERLAP * (words + 1) / seconds - 1)


def _bare(word: str) -> str:
    """The word without capitals and commas, which depend on what stands around it."""
    return "".join(char for char in word.casefold() if char.isalnum())
