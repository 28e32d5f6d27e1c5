"""Text that changes, shown by edits: the latest wins, and the edits in one channel share what Discord takes.

Discord takes about five edits in five seconds for a channel (its headers say how many, `limits`); what is
over waits in discord.py, each behind the others. So an edit is never queued: when its turn comes, it shows
what is newest then. And each text that grows has an edit kept back for its end, which waits for no turn:

texts that grow in a channel        1      2      3      4      5 and more
edits in between, of all, every     1.3 s  1.7 s  2.5 s  5 s    30 s

So texts that end together are whole at once, up to four always, and five that take less than half a minute.
The figures are five edits in five seconds, less the one of each text that grows. One text alone is edited
every 1.2 s at most, its end included.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Generic, TypeVar

from chorus.gateway.frontends.discord.place import Buttons, Place, Posted
from chorus.gateway.frontends.discord.splitting import split

T = TypeVar("T")

SAYING, EDITING = "POST", "PATCH"
SHOWN = 3  # messages of one text; what is longer is attached whole
EDITS, WITHIN = 5, 5.0  # that Discord takes in a channel, in so many seconds
CROWDED = 30.0  # seconds between edits where so many texts grow that each edit is kept for an end
WHOLE = ("answer.md", "-# The answer is longer than three messages. All of it is in this file.")


class Pace:
    """Turns to edit in one channel, at least `every` seconds apart, for whoever asks first.

    `within` are the seconds in which Discord takes five, until it says otherwise.
    """

    def __init__(self, every: float, within: float = WITHIN) -> None:
        self.every = every
        self._most, self._within = EDITS, within
        self._edits: deque[float] = deque()
        self._sent_at = 0.0
        self._growing = 0
        self._queue = asyncio.Lock()
        self._stirred = asyncio.Event()
        self.answered_at = dict.fromkeys((SAYING, EDITING), 0.0)
        """When Discord last took a message here, and an edit, as far as that is heard of."""

    async def turn(self) -> None:
        """Wait for the next turn, and take it."""
        async with self._queue:
            while (wait := self._next() - _now()) > 0:
                self._stirred.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stirred.wait()
            self.sent(_now())

    def _next(self) -> float:
        """When an edit may be sent that is no text's end: each text that grows has one left after it."""
        spare = self._most - max(1, self._growing)
        if spare < 1:
            return self._sent_at + max(self.every, CROWDED)
        free_at = self._edits[-spare] + self._within if len(self._edits) >= spare else 0.0
        return max(self._sent_at + max(self.every, self._within / spare), free_at)

    def sent(self, at: float) -> None:
        """Note that something was sent, which waits for nobody: the next edit keeps its distance."""
        self._sent_at = max(self._sent_at, at)

    @contextmanager
    def grows(self) -> Generator[None]:
        """A text grows in this channel meanwhile, until its end is shown."""
        self._growing += 1
        try:
            yield
        finally:
            self._growing -= 1
            self._stirred.set()

    def edited(self, most: int, left: int, seconds: float) -> None:
        """Note that Discord took an edit here: it takes `left` more of `most` in the next seconds.

        Each edit is counted for all that time: Discord does not say whether it begins with the first of
        them, or with each.
        """
        self._most = most
        if left == most - 1:
            self._within = seconds
        now = _now()
        self._edits.append(now)
        while self._edits[0] <= now - self._within:
            self._edits.popleft()
        self._edits.extend([now] * (most - left - len(self._edits)))  # what others have edited here


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

        `at_end` says which buttons are below it once it is whole: none before.
        """
        async with Newest(texts) as newest:
            while await newest.changed():
                if self._posted:
                    await self._turn(newest.ended)
                if at_end:
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
            begun, how = _now(), EDITING
            face = piece, self.buttons if number + 1 == len(pieces) else ()
            if number == len(self._posted):
                how = SAYING
                self._posted.append(await self._place.send(*face))
                self._shown.append(face)
            elif self._shown[number] != face:
                await self._posted[number].edit(*face)
                self._shown[number] = face
            else:
                continue
            # discord.py returns late from what used a limit up; then the wait has been long enough.
            answered_at = self._pace.answered_at[how]
            self._edited_at = answered_at if answered_at >= begun else _now()
            self._pace.sent(self._edited_at)

    async def offer(self, buttons: Buttons) -> None:
        """Show these buttons below what has been said, if anything has."""
        if self._posted and buttons != self.buttons:
            self.buttons = buttons
            await self._pace.turn()
            await self.show(self._text)


def _now() -> float:
    return asyncio.get_running_loop().time()
