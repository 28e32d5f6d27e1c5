"""What an engine is being asked, and how that comes to its end: by itself, or, after a while, broken off."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar

from chorus.common.errors import ChorusError

LEAVES_WITHIN = 1.0  # seconds from being broken off until the engine knows; milliseconds were seen

Answer = TypeVar("Answer")


class InHand:
    """The requests of one engine."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._waits = set[asyncio.Timeout]()
        self._ends: float | None = None  # on the loop's clock
        self._why: Callable[[], ChorusError] | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is asked."""
        return self._none.is_set()

    @contextmanager
    def one(self) -> Generator[None]:
        """A request, from its first moment to its last."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def wait(self, answer: Awaitable[Answer]) -> Answer:
        """Wait for the engine, in a request; broken off when its time is up, with the error of `end`."""
        limit = asyncio.timeout_at(self._ends)
        try:
            async with limit:
                self._waits.add(limit)
                try:
                    return await answer
                finally:
                    self._waits.discard(limit)
        except TimeoutError:
            if limit.expired() and self._why:
                raise self._why() from None
            raise

    async def end(self, within: float, why: Callable[[], ChorusError]) -> None:
        """Wait until there is none. What is still there after `within` seconds fails with `why()`."""
        self._ends, self._why = asyncio.get_running_loop().time() + within, why
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(self._ends)
        with suppress(TimeoutError):  # who does not even take what is written is not waited for
            await asyncio.wait_for(self._none.wait(), within + LEAVES_WITHIN)

    def go_on(self) -> None:
        """Nothing is broken off from now on."""
        self._ends = None
