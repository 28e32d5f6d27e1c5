"""Replies as text on a terminal; into a file or a pipe the same words, without colours and moving bars."""

import asyncio
import time
from collections.abc import AsyncIterator

import structlog
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text as Coloured

from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import (
    Audio,
    Card,
    File,
    Moment,
    Problem,
    Progress,
    Reply,
    Samples,
    Stream,
    Text,
    problem,
    remarks,
)
from chorus.gateway.commands.table import OUR_FAULT
from chorus.gateway.frontends.console.answers import message_id, write
from chorus.gateway.frontends.console.files import save, save_download

PLAIN_EVERY = 5.0  # seconds between progress lines where a bar cannot move
LEFT = "Job {job} is not ended by that. How far it is: !job {job}. To end it: !cancel {job}"

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
                case Samples():
                    self._samples(reply)
                case Stream():
                    await self._stream(reply)
                case Progress(opening, moments):
                    self._plain(opening)
                    return await self._progress(moments)
                case Audio() | File():
                    await self._keep(reply)
                case Problem():
                    self._problem(reply)
                    return False
        except ChorusError as error:
            self._problem(problem(error))
            return False
        except Exception:
            log.exception("reply failed")
            self._problem(OUR_FAULT)
            return False
        return True

    def _plain(self, text: str) -> None:
        if text:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _problem(self, told: Problem) -> None:
        self._console.print(told.line, style="red", markup=False, highlight=False, soft_wrap=True)

    def _dim(self, text: str) -> None:
        if text:
            self._console.print(text, style="dim", markup=False, highlight=False)

    def _card(self, card: Card) -> None:
        table = Table(
            *card.columns,
            title=Coloured(card.title),
            title_justify="left",
            box=None,
            header_style="dim",
            show_header=any(card.columns),
        )
        for column in table.columns:
            column.overflow = "fold"  # a name that is cut off cannot be typed
        for row in card.rows:
            table.add_row(*(Coloured(cell) for cell in row))
        self._console.print(table, highlight=False)
        if card.picture:
            self._plain(card.picture.text)
        self._dim(card.footer)
        if card.shown:
            card.shown()

    def _samples(self, shown: Samples) -> None:
        """What is learned, in green; and between marks, for where there are no colours."""
        self._plain(shown.title)
        for number, sample in enumerate(shown.samples, 1):
            self._dim(f"--- {number} ---")
            text = Coloured()
            for piece in sample:
                text.append(f"«{piece.text}»" if piece.learned else piece.text, "green" * piece.learned)
            self._console.print(text, highlight=False, soft_wrap=True)
        self._dim(shown.footer)

    async def _keep(self, reply: Audio | File) -> None:
        """Write it into the current folder, or where it was asked for."""
        if isinstance(reply, Audio):
            self._plain(f"✓ {await save(reply.name, reply.data)}, {reply.seconds:.1f} s of speech")
        else:
            saved = await save_download(reply.name, reply.data)
            self._plain(reply.text)  # it tells of the file, so it comes once there is one
            self._plain(f"✓ {saved}, {reply.data.size:,} bytes")

    async def _stream(self, stream: Stream) -> None:
        if end := await write(self._console, stream):
            if stream.kept:
                await stream.kept(message_id())
            for remark in remarks(end):
                self._dim(f"({remark})")

    async def _progress(self, moments: AsyncIterator[Moment]) -> bool:
        """A bar that moves, or a line now and then; at the end, how it went."""
        bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        last = _Last()
        ended: Moment | None = None
        job: str | None = None
        try:
            with bar:
                task = bar.add_task("", total=None, told="")
                async for moment in moments:
                    job = moment.job or job
                    if moment.note is not None:
                        self._plain(moment.note)
                    if moment.outcome is not None:
                        ended = moment
                    elif moment.stage:
                        self._advance(bar, task, moment)
                        if not self._console.is_terminal and last.worth_a_line(moment):
                            self._plain("  ".join(["", moment.stage, *moment.figures]))
        except asyncio.CancelledError:
            if job is not None:
                self._plain(LEFT.format(job=job))
            raise
        return ended is not None and await self._end(ended)

    async def _end(self, moment: Moment) -> bool:
        """How it ended, and what is to be shown below."""
        worked = moment.outcome is not None and await self.show(moment.outcome)
        for card in moment.more:
            self._card(card)
        return worked

    def _advance(self, bar: Bar, task: TaskID, moment: Moment) -> None:
        bar.update(
            task,
            description=moment.stage,
            completed=moment.done,
            total=moment.total or None,
            told="  ".join(moment.figures),
        )


class _Last:
    """What the last progress line said, and when. A quick import says nothing before it is there."""

    def __init__(self) -> None:
        self._stage = ""
        self._at = time.monotonic()

    def worth_a_line(self, moment: Moment) -> bool:
        now = time.monotonic()
        is_new = moment.job is not None and moment.stage != self._stage
        if not is_new and now - self._at < PLAIN_EVERY:
            return False
        self._stage, self._at = moment.stage, now
        return True
