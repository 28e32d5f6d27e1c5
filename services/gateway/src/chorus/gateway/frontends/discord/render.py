"""Replies as messages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePath

import aiohttp
import discord
import structlog

from chorus.common.contracts.generation import Delta, End
from chorus.common.contracts.training import JobRecord
from chorus.common.errors import ChorusError
from chorus.gateway.commands.replies import Audio, Card, Problem, Progress, Reply, Stream, Text
from chorus.gateway.commands.table import OUR_FAULT
from chorus.gateway.commands.telling import figures, outcome, stage
from chorus.gateway.frontends.discord.place import Place
from chorus.gateway.frontends.discord.splitting import split
from chorus.gateway.frontends.discord.streaming import Live, Pace

BAR = 12  # signs
LEFT = "-# I am restarted meanwhile. !jobs tells how it goes on."

log = structlog.get_logger()


class Renderer:
    """Shows one reply in one place."""

    def __init__(self, place: Place, pace: Pace) -> None:
        self._place = place
        self._pace = pace

    async def show(self, reply: Reply) -> None:
        """Show a reply to its end. Raises what Discord refuses; what fails on our side is told."""
        try:
            match reply:
                case Text() | Card() | Problem():
                    await self._say(worded(reply))
                case Stream(pieces):
                    await Live(self._place, self._pace).follow(_said(pieces))
                case Progress():
                    await self._watch(reply)
                case Audio(name, data):
                    await self._place.attach(PurePath(name).name, data)
        except ChorusError as error:
            await self._say(worded(Problem(error.code, error.message)))
        except (discord.DiscordException, aiohttp.ClientError):
            raise
        except Exception:
            log.exception("reply failed")
            await self._say(worded(OUR_FAULT))

    async def _say(self, text: str) -> None:
        for piece in split(text):
            await self._place.send(piece)

    async def _watch(self, progress: Progress) -> None:
        """One message that changes until the job has ended, or we have to go."""
        live = Live(self._place, self._pace)
        try:
            await live.follow(_watched(progress))
        except asyncio.CancelledError:
            await self._pace.turn()
            await live.show(f"{progress.opening}\n{LEFT}")
            raise


def worded(reply: Text | Card | Problem) -> str:
    """A reply in Discord's Markdown."""
    match reply:
        case Text(text):
            return text
        case Problem(code, message):
            return f"✗ {message} [{code}]"
        case Card():
            rows = ["- " + " · ".join(cell for cell in row if cell) for row in reply.rows]
            footer = [f"-# {reply.footer}"] if reply.footer else []
            return "\n".join([f"**{reply.title}**", *rows, *footer])


async def _said(pieces: AsyncIterator[Delta | End]) -> AsyncIterator[str]:
    """The answer so far, after each piece; at its end what else is to be known of it."""
    said = ""
    async for piece in pieces:
        said = said + piece.text if isinstance(piece, Delta) else f"{said}{_notes(piece, said)}"
        yield said


def _notes(end: End, said: str) -> str:
    notes = []
    if not said.strip():
        notes.append("The model gave an empty answer.")
    if end.dropped_messages:
        notes.append(f"{end.dropped_messages} older messages did not fit.")
    if end.finish_reason == "length":
        notes.append("Cut off: the answer reached its length limit.")
    return f"\n-# {' '.join(notes)}" if notes else ""


async def _watched(progress: Progress) -> AsyncIterator[str]:
    """The opening, and below it how far the job is; at last how it ended."""
    yield progress.opening
    async for record in progress.job:
        yield f"{progress.opening}\n{_now(record)}"


def _now(record: JobRecord) -> str:
    if record.state.final:
        return worded(outcome(record))
    return " · ".join([*_bar(record), stage(record), *figures(record)])


def _bar(record: JobRecord) -> list[str]:
    if record.progress is None:
        return []
    done = round(BAR * min(1.0, record.progress.step / record.progress.steps))
    return ["▰" * done + "▱" * (BAR - done)]
