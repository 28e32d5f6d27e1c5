"""One after another, guild by guild, and no guild more than its share: an engine does one thing at a time.

Where there are several engines, the second is put to work when more than `A_LINE` people wait for the first,
and so on: each takes memory, and a core from those who answer.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chorus.common.errors import QueueFull, Unavailable

A_LINE = 2  # people for each engine at work


class Turns:
    """A line of people before some engines: guilds take turns, and in each the first come is first served."""

    def __init__(self, *, of_a_guild: int, patience: float, engines: int = 1) -> None:
        self._of_a_guild = of_a_guild
        self._patience = patience
        self._engines = engines
        self._at_work = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by guild; whose turn it is comes first
        self._in_line: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, guild: str) -> AsyncGenerator[None]:
        """Wait for one's turn, and have it.

        Raises `QueueFull` when as many of the guild are in line as may be, `Unavailable` when it takes
        longer than the patience, in seconds.
        """
        if self._in_line[guild] >= self._of_a_guild:
            raise QueueFull(
                f"{self._of_a_guild} texts or recordings of yours are in work. Wait for one to be done.",
                code="speech_queue_full",
            )
        self._in_line[guild] += 1
        try:
            await self._wait(guild)
            try:
                yield
            finally:
                self._at_work -= 1
                self._let_in()
        finally:
            self._in_line[guild] -= 1
            self._in_line += Counter()  # forgets those who have none in line

    async def _wait(self, guild: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(guild, deque()).append(turn)
        self._let_in()
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except TimeoutError:
            self._leave(guild, turn)
            raise Unavailable(
                "Too many texts and recordings are being worked on. Try again in a moment.", code="busy"
            ) from None
        except asyncio.CancelledError:
            self._leave(guild, turn)
            raise

    def _let_in(self) -> None:
        """As many as there are engines for, one of a guild after the other guilds have had theirs."""
        while self._waiting:
            in_line = self._at_work + sum(map(len, self._waiting.values()))
            if self._at_work >= min(self._engines, -(-in_line // A_LINE)):
                return
            guild = next(iter(self._waiting))
            line = self._waiting.pop(guild)
            turn = line.popleft()
            if line:
                self._waiting[guild] = line  # behind the others
            if not turn.done():  # its owner may just be leaving
                self._at_work += 1
                turn.set_result(None)

    def _leave(self, guild: str, turn: asyncio.Future[None]) -> None:
        """Give up waiting, or the turn that was had without one's knowing."""
        line = self._waiting.get(guild, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[guild]
        elif not turn.cancelled():
            self._at_work -= 1
        self._let_in()
