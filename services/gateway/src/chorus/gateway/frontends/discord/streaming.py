"""Text that changes, shown by edits: the latest wins, and edits in one channel keep a pace.

Discord takes about five edits in five seconds for a channel and holds back what is over. An edit that waits
is therefore never queued: when its turn comes, it shows what is newest then.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, TypeVar

from chorus.gateway.frontends.discord.place import Place, Posted
from chorus.gateway.frontends.discord.splitting import split

T = TypeVar("T")


class Pace:
    """Turns to edit in one channel, `every` seconds apart, in the order in which they are asked for."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next = 0.0
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for the next turn, and take it."""
        async with self._queue:
            await asyncio.sleep(self._next - asyncio.get_running_loop().time())
            self.sent()

    def sent(self) -> None:
        """Note that something is sent, which waits for nobody: the next edit keeps its distance."""
        self._next = asyncio.get_running_loop().time() + self._every


class Newest(Generic[T]):
    """Reads a source ahead, and keeps only what it said last.

    async with Newest(source) as newest:
        while await newest.changed():
            show(newest.take())
    """

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._values: list[T] = []  # at most one
        self._stirred = asyncio.Event()

    async def __aenter__(self) -> "Newest[T]":
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.cancel()  # who leaves early stops the source, too
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            last: T | None = None
            async for value in self._source:
                if value != last:
                    self._values = [last := value]
                    self._stirred.set()
        finally:
            self._stirred.set()

    async def changed(self) -> bool:
        """Wait for something new: False at the source's end. Raises what the source raised, at its end."""
        await self._stirred.wait()
        if self._values:
            return True
        self._reader.result()
        return False

    def take(self) -> T:
        """What is newest; only after `changed`."""
        if not self._reader.done():
            self._stirred.clear()
        return self._values.pop()


class Live:
    """One text that changes, in as many messages as it needs."""

    def __init__(self, place: Place, pace: Pace) -> None:
        self._place = place
        self._pace = pace
        self._posted: list[Posted] = []
        self._shown: list[str] = []

    async def follow(self, texts: AsyncIterator[str]) -> None:
        """Show a text as it changes: at once when it begins, then at the channel's pace, at last whole."""
        async with Newest(texts) as newest:
            while await newest.changed():
                if self._posted:
                    await self._pace.turn()
                await self.show(newest.take())

    async def show(self, text: str) -> None:
        """Show the text as it is now."""
        for number, piece in enumerate(split(text)):
            if number == len(self._posted):
                self._posted.append(await self._place.send(piece))
                self._shown.append(piece)
                self._pace.sent()
            elif self._shown[number] != piece:
                await self._posted[number].edit(piece)
                self._shown[number] = piece
