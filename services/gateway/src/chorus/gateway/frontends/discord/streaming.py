"""Text that changes, shown by edits: the latest wins, and edits in one channel keep a pace.

Discord takes about five edits in five seconds for a channel and holds back what is over. An edit that waits
is therefore never queued: when its turn comes, it shows what is newest then. How many edits a channel has
left is told with each of them (`limits`), and the pace follows that: where several texts grow, it keeps an
edit for the end of each, which does not wait for a turn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, TypeVar

from chorus.gateway.frontends.discord.place import Buttons, Place, Posted
from chorus.gateway.frontends.discord.splitting import split

T = TypeVar("T")

SHOWN = 3  # messages of one text; what is longer is attached whole
KEPT_BACK = 3  # edits at most, for texts that may end at any moment
WHOLE = ("answer.md", "-# The answer is longer than three messages. All of it is in this file.")


class Pace:
    """Turns to edit in one channel, at least `every` seconds apart, for whoever asks first."""

    def __init__(self, every: float) -> None:
        self.every = every
        self._next = 0.0
        self._queue = asyncio.Lock()
        self._growing = 0
        self.answered_at = 0.0
        """When Discord last took a message or an edit here, as far as that is heard of."""

    async def turn(self) -> None:
        """Wait for the next turn, and take it."""
        async with self._queue:
            while _now() < (at := self._next):  # noqa: ASYNC110 - it may be put off meanwhile
                await asyncio.sleep(at - _now())
            self.sent()

    def sent(self) -> None:
        """Note that something is sent, which waits for nobody: the next edit keeps its distance."""
        self._next = max(self._next, _now() + self.every)

    @contextmanager
    def grows(self) -> Generator[None]:
        """A text grows in this channel meanwhile."""
        self._growing += 1
        try:
            yield
        finally:
            self._growing -= 1

    def left(self, edits: int, seconds: float) -> None:
        """Note that Discord takes so many more edits here in the next seconds."""
        free = edits - min(KEPT_BACK, max(0, self._growing - 1))
        self._next = max(self._next, _now() + seconds / max(1, free))


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
        self.ended = asyncio.Event()
        """Whether what it said last is all."""

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
            self.ended.set()
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
    """One text that changes, in up to three messages; one that is longer is a file in the end."""

    def __init__(self, place: Place, pace: Pace) -> None:
        self._place = place
        self._pace = pace
        self._posted: list[Posted] = []
        self._shown: list[tuple[str, Buttons]] = []
        self._edited_at = 0.0
        self._text = ""
        self.buttons: Buttons = ()
        """Below the last message, from when the text is shown next."""

    @property
    def ids(self) -> list[str]:
        """Of the messages, in order."""
        return [posted.id for posted in self._posted]

    async def follow(self, texts: AsyncIterator[str], at_end: Callable[[], Buttons] | None = None) -> None:
        """Show a text as it changes: at once when it begins, then at the channel's pace, at last whole.

        `at_end` says which buttons are below it once it is whole.
        """
        with self._pace.grows():
            async with Newest(texts) as newest:
                while await newest.changed():
                    if self._posted:
                        await self._turn(newest.ended)
                    if at_end and newest.ended.is_set():
                        self.buttons = at_end()
                    await self.show(newest.take())
        if at_end:
            await self.offer(at_end())
        if len(split(self._text)) > SHOWN:
            name, note = WHOLE
            await self._place.attach(name, self._text.encode(), note)

    async def _turn(self, ended: asyncio.Event) -> None:
        """Wait for a turn in the channel, or for the end; and for a while since this text was edited."""
        turn, end = asyncio.create_task(self._pace.turn()), asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({turn, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            turn.cancel()
            end.cancel()
        await asyncio.sleep(self._edited_at + self._pace.every - _now())

    async def show(self, text: str) -> None:
        """Show the text as it is now."""
        self._text = text
        pieces = split(text)[:SHOWN]
        for number, piece in enumerate(pieces):
            begun = _now()
            face = piece, self.buttons if number + 1 == len(pieces) else ()
            if number == len(self._posted):
                self._posted.append(await self._place.send(*face))
                self._shown.append(face)
            elif self._shown[number] != face:
                await self._posted[number].edit(*face)
                self._shown[number] = face
            else:
                continue
            # discord.py returns late from what used a limit up; then the wait has been long enough.
            self._edited_at = self._pace.answered_at if self._pace.answered_at >= begun else _now()
            self._pace.sent()

    async def offer(self, buttons: Buttons) -> None:
        """Show these buttons below what has been said, if anything has."""
        if self._posted and buttons != self.buttons:
            self.buttons = buttons
            await self._pace.turn()
            await self.show(self._text)


def _now() -> float:
    return asyncio.get_running_loop().time()
