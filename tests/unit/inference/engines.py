"""An engine of our own port, in memory: it writes what it is told to, and dies where it is told to."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling, Waiting
from chorus.common.errors import Unavailable
from chorus.inference.generation.life import Patience
from chorus.inference.generation.ports import Adapter, Piece, Work
from chorus.inference.metrics import InferenceMetrics

QUICK = Patience(first_delay=0, longest_delay=0, look=0.005, wait=5, start=20)
"""Nothing is waited for but engines."""

QUESTION = [Turn(role="user", content="Who are you?")]


class Double:
    """`ports.RunningEngine`. It writes `words`; with `dies_at` it dies in place of that one."""

    window, max_rank, capacity = 64, 8, 2

    def __init__(self, *words: str, dies_at: int | None = None) -> None:
        self.words = words or ("The ", "cat.")
        self.dies_at = dies_at
        self.loaded: list[str] = []
        self.told: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self._dead = False

    def die(self) -> None:
        self._dead = True

    def _check(self) -> None:
        if self._dead:
            raise Unavailable("dead", code="engine_died")

    async def load(self, adapter: Adapter) -> None:
        self._check()
        self.loaded.append(adapter.name)

    async def unload(self, adapter: Adapter) -> None:
        self._check()
        self.loaded.remove(adapter.name)

    async def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        self._check()
        assert work.adapter is None or work.adapter.name in self.loaded
        for place, word in enumerate(self.words):
            await self.held.wait()
            if place == self.dies_at:
                self.die()
            self._check()
            yield Piece(word, 1)
        yield Piece("", 0, "stop")

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        if self.dies_at is not None:
            self.die()
        self._check()
        return [-1.0] * (len(tokens) - start)

    def wrong(self) -> str | None:
        return "dead" if self._dead else None

    async def sleep(self) -> None:
        self.told.append("sleep")

    async def wake(self) -> None:
        self.told.append("wake")

    def close(self) -> None:
        self.told.append("close")


@dataclass
class Starts:
    """What starts engines, one after the other; an error in their place is raised."""

    ready: list[Double | Exception] = field(default_factory=list)
    done: list[Double | Exception] = field(default_factory=list)

    def __call__(self) -> Double:
        self.done.append(self.ready.pop(0) if self.ready else Double())
        if isinstance(last := self.done[-1], Exception):
            raise last
        return last


@dataclass
class Told:
    """What whoever asked was told."""

    all: list[Waiting] = field(default_factory=list)

    async def __call__(self, waiting: Waiting) -> None:
        self.all.append(waiting)


def metrics() -> InferenceMetrics:
    return InferenceMetrics(CollectorRegistry())


def work(adapter: Adapter | None = None) -> Work:
    return Work("1", [1, 2, 3, 4, 5], QUESTION, Sampling(), adapter, "1")


async def until(true: Callable[[], object]) -> None:
    """Wait for a condition; it has five seconds."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)
