"""Finds messages that say what an earlier one has said: a model would learn those by heart.

Exact: the same words after Unicode's NFKC form and case folding, whatever stands between the words.
Near: at least eight words, of which at most one in eight was changed, added or left out. Numbers are what
tells one notice from the next ("room 12 at 5 pm"): texts with different numbers are different.

A million messages have to fit beside everything else, at a few µs each. rensa computes the MinHash of a text;
candidates share a band of it, and each of them is then compared word by word. The table of bands is our own:
rensa's LSH takes 90 bytes a band, which is 360 MB for 400,000 texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - it passes on "*" of its Rust half

EXACT = "exact duplicate"
NEAR = "near duplicate"

SHORT = 4  # words, and
BRIEF = 32  # characters: "good morning all" is said by everybody, every day
ALWAYS = 16  # times that a short text may come back …
SHARE = 1000  # … and once more in so many texts: chat stays chat, and "lol" stays one in a thousand
ENOUGH = 8  # words that a near duplicate must have
DIFFERENT = 8  # one word in so many may differ
LONGEST = 4096  # characters, Discord's longest message; of a longer text both ends are compared

_PUNCTUATION = b'!"(),.:;?[]{}*_~|'
_SPACED = bytes.maketrans(_PUNCTUATION, b" " * len(_PUNCTUATION))
_QUOTES = b"'`"  # vanish: "don't" is "dont"
_DIGIT = re.compile(rb"\d")
_MARKS = "\u00a1\u00ab\u00b7\u00bb\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011"  # “such as…”
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"  # Thai to Chinese
_EITHER = re.compile(f"[{_MARKS}{_UNSPACED}]")
_RUNS = re.compile(f"([{_MARKS}]+)|[{_UNSPACED}]+")


class Duplicates:
    """What was said so far. Texts come in order of time, some thousands a call."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._texts = 0
        self._similar = _Similar()

    def flags(self, texts: Sequence[str]) -> list[str | None]:
        """For each text None, or why it is a duplicate of an earlier one of this call or of any before."""
        flags: list[str | None] = [None] * len(texts)
        longer: dict[int, bytes] = {}
        for index, text in enumerate(texts):
            folded = _folded(text)
            words = folded.translate(_SPACED, _QUOTES).split()
            key = hash(b" ".join(words) or folded) if len(text) <= LONGEST else hash(text)
            if self._is_known(key, short=len(words) < SHORT and len(text) < BRIEF):
                flags[index] = EXACT
            elif len(words) >= ENOUGH - 1:  # with one word left out
                longer[index] = folded.translate(None, _PUNCTUATION + _QUOTES)  # a link stays one word
        for index, is_near in zip(longer, self._similar.add(list(longer.values())), strict=True):
            if is_near:
                flags[index] = NEAR
        return flags

    def _is_known(self, key: int, *, short: bool) -> bool:
        times = self._times.get(key, 0)
        self._times[key] = times + 1
        self._texts += 1
        return times >= (ALWAYS + self._texts // SHARE if short else 1)


def _folded(text: str) -> bytes:
    """One way to write it, in UTF-8; what is between words is still there."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + " " + text[-LONGEST // 2 :]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'")
        if _EITHER.search(text):
            text = _RUNS.sub(_apart, text)
    return text.casefold().encode("utf-8", "surrogatepass")


def _apart(run: re.Match[str]) -> str:
    """A space for marks. Where a script has no spaces, each pair of characters stands for a word."""
    if run[1]:
        return " "
    return f" {' '.join(a + b for a, b in pairwise(run[0])) or run[0]} "


SEED = 20  # any will do; the same one, for the same answers
BANDS = 10
ROWS = 5
"""A band is five minima: two texts that share 9 words of 11 (one in ten was changed) have one of ten bands
in common in 99 % of cases; two that share 3 in 10 in 2 %."""


class _Similar:
    """Texts by the words that they share: each text once, and 8 bytes for each of its bands."""

    def __init__(self) -> None:
        random = np.random.default_rng(SEED)
        self._mixers = random.integers(0, 2**63, (BANDS, ROWS), dtype=np.uint64) * 2 + 1
        self._texts: list[bytes] = []
        self._bands = _Bands()

    def add(self, texts: list[bytes]) -> list[bool]:
        """Keep these texts. For each: is there an earlier one that is nearly the same?"""
        first = len(self._texts)
        self._texts += texts
        owners = self._bands.owners(self._keys(texts), first)
        flags = [False] * len(texts)
        themselves = np.arange(first, len(self._texts))[:, None]
        for row in np.flatnonzero((owners != themselves).any(axis=1)).tolist():
            earlier = set(owners[row].tolist()) - {first + row}
            words = texts[row].split()
            flags[row] = any(_are_near(self._texts[owner].split(), words) for owner in earlier)
        return flags

    def _keys(self, texts: list[bytes]) -> npt.NDArray[np.uint64]:
        """32 bits for each band of each text: a row for each text."""
        minima = RMinHash.digests_from_token_sets(map(bytes.split, texts), BANDS * ROWS, SEED)
        bands = np.fromiter(chain.from_iterable(minima), np.uint64).reshape(-1, BANDS, ROWS)
        return (bands * self._mixers).sum(axis=2) >> np.uint64(32)


class _Bands:
    """Who had a band first: a hash table in one array, of each band 32 bits and of its owner 32."""

    def __init__(self) -> None:
        self._slots = np.zeros(1 << 16, np.uint64)
        self._free = len(self._slots)

    def owners(self, keys: npt.NDArray[np.uint64], first: int) -> npt.NDArray[np.uint64]:
        """The owner of each key, a row for each text; those of nobody go to `first`, `first + 1`, …."""
        while self._free - keys.size < len(self._slots) // 3:
            self._grow()
        texts = np.arange(first + 1, first + 1 + len(keys), dtype=np.uint64)  # 0 is a free slot
        claims = (keys << np.uint64(32) | texts[:, None]).ravel()  # by text: the earliest has the first claim
        return (self._claim(claims) & np.uint64(0xFFFFFFFF)).reshape(keys.shape) - np.uint64(1)

    def _grow(self) -> None:
        old = self._slots
        self._slots = np.zeros(2 * len(old), np.uint64)
        self._free = len(self._slots)
        for start in range(0, len(old), 1 << 16):  # by pieces: no second copy of all
            piece = old[start : start + (1 << 16)]
            self._claim(piece[piece != 0])

    def _claim(self, claims: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """What stands in the table for each claim: itself, or an earlier one of the same key."""
        standing = claims.copy()
        last = np.uint64(len(self._slots) - 1)
        slots = (claims >> np.uint64(32)) & last
        waiting = np.arange(len(claims))
        while len(waiting):
            free = waiting[self._slots[slots[waiting]] == 0][::-1]
            # Of several for one slot the last stays: the earliest text.
            self._slots[slots[free]] = claims[free]
            found = self._slots[slots[waiting]]
            settled = (found ^ claims[waiting]) >> np.uint64(32) == 0
            standing[waiting[settled]] = found[settled]
            self._free -= int(np.count_nonzero(found[settled] == claims[waiting[settled]]))
            waiting = waiting[~settled]
            slots[waiting] = (slots[waiting] + np.uint64(1)) & last
        return standing


def _are_near(earlier: list[bytes], later: list[bytes]) -> bool:
    """Whether so few words differ, and not the numbers on both sides."""
    most = max(len(earlier), len(later)) // DIFFERENT
    if abs(len(earlier) - len(later)) > most:
        return False
    if len(set(earlier) ^ set(later)) > 2 * most:  # nearly always, and sets are quick
        return False
    gone, new = Counter(earlier) - Counter(later), Counter(later) - Counter(earlier)
    if max(gone.total(), new.total()) > most:
        return False
    return not (any(map(_DIGIT.search, gone)) and any(map(_DIGIT.search, new)))
