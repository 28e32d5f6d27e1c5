"""One after another, and no guild more than its share: an engine does one thing at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chorus.common.errors import QueueFull, Unavailable


class Turns:
    """A line of people before one engine, first come, first served."""

    def __init__(self, *, of_a_guild: int, patience: float) -> None:
        self._of_a_guild = of_a_guild
        self._patience = patience
        self._engine = asyncio.Lock()
        self._in_line: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, guild: str) -> AsyncGenerator[None]:
        """Wait for one's turn, and have it.

        Raises `QueueFull` when as many of the guild are in line as may be, `Unavailable` when it takes
        longer than the patience, in seconds.
        """
        if self._in_line[guild] >= self._of_a_guild:
            raise QueueFull(
                f"{self._of_a_guild} recordings of yours are being worked on. Wait for one to be done.",
                code="speech_queue_full",
            )
        self._in_line[guild] += 1
        try:
            await self._wait()
            try:
                yield
            finally:
                self._engine.release()
        finally:
            self._in_line[guild] -= 1
            self._in_line += Counter()  # forgets those who have none in line

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._engine.acquire()
        except TimeoutError:
            raise Unavailable(
                "Too many recordings are being worked on. Try again in a moment.", code="busy"
            ) from None
