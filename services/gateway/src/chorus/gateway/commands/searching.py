"""Which question of a dataset is most like another one."""

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from weakref import WeakValueDictionary

from chorus.common.contracts.datasets import Example, Turn
from chorus.gateway.commands.recent import Recent

NEAR = 0.8
"""Share of letters in common, in their order, from which on it is the same question (`difflib`)."""
MOST = 5000  # questions that are searched: of everyday ones, some tenths of a second
WITHIN = 0.5  # seconds; long ones of the same letters take a hundred times as long as others
LONGEST = 300  # characters of a question that is compared
AT_ONCE = 2  # guilds that search; whatever else runs here waits for them, in turns
HELD = 4  # guilds whose questions are at hand, the newest searched


@dataclass(frozen=True)
class Pair:
    """A question of the data, and how it was answered there."""

    asked: str
    answer: str


class Searches:
    """Finds questions. Of each guild what was searched last is at hand, so that it is read once."""

    def __init__(self) -> None:
        self._held: Recent[str, tuple[str, list[Pair]]] = Recent(HELD)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def find(
        self, guild: str, dataset: str, read: Callable[[], Awaitable[bytes]], question: str
    ) -> Pair | None:
        """The pair of this version (`name@3`) that is nearest to a question, if one is found that is near.

        `read` fetches its examples, a line of JSON each, where they are not at hand. A guild searches once at
        a time.
        """
        turn = self._turns.setdefault(guild, asyncio.Lock())
        async with turn, self._room:
            held = self._held.get(guild)
            if held is None or held[0] != dataset:
                held = dataset, await asyncio.to_thread(pairs, await read())
                self._held.put(guild, held)
            return await asyncio.to_thread(nearest, question, held[1])


def pairs(data: bytes) -> list[Pair]:
    """The first questions with wanted answers; `data` is a line of JSON an example."""
    return list(islice(_all(data), MOST))


def nearest(question: str, among: Sequence[Pair], within: float = WITHIN) -> Pair | None:
    """The pair whose question is most like this one, if one is near: of those read within so many seconds."""
    until = time.monotonic() + within
    wanted = _plain(question)
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
    best, found = NEAR, None
    for pair in among:
        if time.monotonic() >= until:
            break
        matcher.set_seq1(_plain(pair.asked))
        # The first two are quick, and never below the third.
        if matcher.real_quick_ratio() >= best and matcher.quick_ratio() >= best:
            ratio = matcher.ratio()
            if ratio > best or (found is None and ratio == best):
                best, found = ratio, pair
    return found


def _all(data: bytes) -> Iterable[Pair]:
    for line in data.splitlines():
        example = Example.model_validate_json(line)
        if example.label:
            yield from _exchanges(example.messages)


def _exchanges(turns: Sequence[Turn]) -> Iterable[Pair]:
    for before, after in pairwise(turns):
        if (before.role, after.role) == ("user", "assistant"):
            yield Pair(before.content, after.content)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())[:LONGEST].rstrip("?!. ")
