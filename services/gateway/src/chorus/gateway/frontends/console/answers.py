"""A model's answer on a terminal: each piece the moment it comes; of several answers, one after the other."""

import string
import time

from rich.console import Console
from rich.status import Status
from rich.text import Text as Coloured

from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.gateway.commands.replies import Stream

DIGITS = string.digits + string.ascii_lowercase


def message_id() -> str:
    """An id for an answer that is shown now: short, and later ones sort behind it (until the year 2059)."""
    count, made = int(time.time() * 1000), ""
    while count:
        count, digit = divmod(count, len(DIGITS))
        made = DIGITS[digit] + made
    return made


async def write(console: Console, stream: Stream) -> End | None:
    """Write the answer as it comes; returns how it ended, if it came to its end.

    Of several, the first is written as it comes, and the others below it when all are there.
    """
    wait = _Wait(console)
    page = _Page(console, stream.titles)
    end: End | None = None
    try:
        async for piece in stream.pieces:
            match piece:
                case Waiting():
                    if not page.begun:
                        wait.tell(piece)
                case Delta():
                    if piece.choice == 0:
                        wait.end()
                    page.add(piece)
                case End():
                    end = piece
    finally:
        wait.end()
        page.end(whole=end is not None)
    return end


class _Wait:
    """Why there is no answer yet: a line that goes away. Where none can, one line for each reason."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._told: set[str] = set()

    def tell(self, waiting: Waiting) -> None:
        text = Coloured(waiting.text, "dim")
        if not self._console.is_terminal:
            if waiting.code not in self._told:
                self._console.print(text)
            self._told.add(waiting.code)
        elif self._status is None:
            self._status = Status(text, console=self._console)
            self._status.start()
        else:
            self._status.update(text)

    def end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Page:
    """What is written: one answer, or several under their titles."""

    def __init__(self, console: Console, titles: tuple[str, ...]) -> None:
        self._console = console
        self._titles = titles
        self._said: list[list[str]] = [[] for _ in titles or ("",)]

    @property
    def begun(self) -> bool:
        return bool(self._said[0])

    def add(self, piece: Delta) -> None:
        if piece.choice == 0:
            if not self.begun:
                self._title(0)
            self._console.out(piece.text, end="", highlight=False)
            self._console.file.flush()
        self._said[piece.choice].append(piece.text)

    def end(self, *, whole: bool) -> None:
        """End the first answer's line, and write the others. An answer may be whole and empty."""
        if self.begun or whole:
            self._console.out("")
        for choice, said in enumerate(self._said[1:], 1):
            self._title(choice)
            self._console.out("".join(said), highlight=False)

    def _title(self, choice: int) -> None:
        if self._titles:
            self._console.print(Coloured(f"--- {self._titles[choice]} ---", "dim"))
