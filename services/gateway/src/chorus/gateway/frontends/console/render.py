"""Replies as text on a terminal; into a file or a pipe the same words, without colours and moving bars."""

import time
from collections.abc import AsyncIterator

import structlog
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from chorus.common.contracts.generation import Delta, End
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import Audio, Card, Problem, Progress, Reply, Stream, Text
from chorus.gateway.commands.table import OUR_FAULT
from chorus.gateway.commands.telling import figures, outcome, stage
from chorus.gateway.frontends.console.files import save

PLAIN_EVERY = 5.0  # seconds between progress lines where a bar cannot move

log = structlog.get_logger()


class Renderer:
    """Shows replies; `show` says whether what was asked for worked."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def show(self, reply: Reply) -> bool:
        """Show a reply to its end. Whatever fails on the way is told, and the console goes on."""
        try:
            match reply:
                case Text(text):
                    self._plain(text)
                case Card():
                    self._card(reply)
                case Stream(pieces):
                    await self._stream(pieces)
                case Progress(opening, job):
                    self._plain(opening)
                    return await self._progress(job)
                case Audio(name, data, seconds):
                    self._plain(f"✓ {await save(name, data)}, {seconds:.1f} s of speech")
                case Problem(code, message):
                    self._problem(code, message)
                    return False
        except ChorusError as error:
            self._problem(error.code, error.message)
            return False
        except Exception:
            log.exception("reply failed")
            self._problem(OUR_FAULT.code, OUR_FAULT.message)
            return False
        return True

    def _plain(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _problem(self, code: str, message: str) -> None:
        self._console.print(
            f"✗ {message} [{code}]", style="red", markup=False, highlight=False, soft_wrap=True
        )

    def _card(self, card: Card) -> None:
        table = Table(*card.columns, title=card.title, title_justify="left", box=None, header_style="dim")
        for row in card.rows:
            table.add_row(*row)
        self._console.print(table, markup=False, highlight=False)
        if card.footer:
            self._console.print(card.footer, style="dim", markup=False, highlight=False)

    async def _stream(self, pieces: AsyncIterator[Delta | End]) -> None:
        """Each piece the moment it comes."""
        end: End | None = None
        try:
            async for piece in pieces:
                if isinstance(piece, End):
                    end = piece
                    continue
                self._console.out(piece.text, end="", highlight=False)
                self._console.file.flush()
        finally:
            self._console.out("")
        if end and end.dropped_messages:
            self._console.print(f"({end.dropped_messages} older messages did not fit.)", style="dim")
        if end and end.finish_reason == "length":
            self._console.print("(Cut off: the answer reached its length limit.)", style="dim")

    async def _progress(self, job: AsyncIterator[JobRecord]) -> bool:
        """A bar that moves, or a line now and then; at the end, how it went."""
        bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        last = _Last()
        record: JobRecord | None = None
        with bar:
            task = bar.add_task("", total=None, told="")
            async for record in job:
                self._advance(bar, task, record)
                if not self._console.is_terminal and last.worth_a_line(record):
                    self._plain("  ".join(["", stage(record), *figures(record)]))
        if record is None:
            return False
        await self.show(outcome(record))
        return record.state is JobState.SUCCEEDED

    def _advance(self, bar: Bar, task: TaskID, record: JobRecord) -> None:
        progress = record.progress
        bar.update(
            task,
            description=stage(record),
            completed=progress.step if progress else 0,
            total=progress.steps if progress else None,
            told="  ".join(figures(record)),
        )


class _Last:
    """What the last progress line said, and when."""

    def __init__(self) -> None:
        self._stage = ""
        self._at = 0.0

    def worth_a_line(self, record: JobRecord) -> bool:
        said, now = stage(record), time.monotonic()
        if record.state.final or (said == self._stage and now - self._at < PLAIN_EVERY):
            return False
        self._stage, self._at = said, now
        return True
