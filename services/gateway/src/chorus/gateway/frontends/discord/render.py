"""Replies as messages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePath

import aiohttp
import discord
import structlog

from chorus.common.contracts.datasets import Piece
from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError, TooLarge
from chorus.gateway.commands.replies import (
    Audio,
    Card,
    File,
    Moment,
    Picture,
    Problem,
    Progress,
    Reply,
    Samples,
    Stream,
    Text,
    problem,
)
from chorus.gateway.commands.table import OUR_FAULT
from chorus.gateway.frontends.discord.answers import growing
from chorus.gateway.frontends.discord.place import Place
from chorus.gateway.frontends.discord.splitting import FENCE, split
from chorus.gateway.frontends.discord.streaming import Live, Pace

BAR = 12  # signs
NO_FENCE = "`\u200b`\u200b`"  # looks like one, with nothing between the signs
SENT = "Sent to you as a direct message."
LEFT = "-# I am restarted meanwhile. !jobs tells how it goes on."
LEFT_UNDONE = "-# I am restarted, and this was not finished. Ask for it again in a minute."

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
                case Text() | Problem() | Samples():
                    await self._say(worded(reply))
                case Card():
                    await self._lay_out(reply)
                case Stream():
                    await Live(self._place, self._pace).follow(growing(reply))
                case Progress():
                    await self._watch(reply)
                case Audio(name, data):
                    await self._place.attach(PurePath(name).name, data)
                case File():
                    await self._hand_over(reply)
        except ChorusError as error:
            await self._say(worded(problem(error)))
        except (discord.DiscordException, aiohttp.ClientError):
            raise
        except Exception:
            log.exception("reply failed")
            await self._say(worded(OUR_FAULT))

    async def _say(self, text: str, picture: Picture | None = None) -> None:
        await _say(self._place, text, picture)

    async def _lay_out(self, card: Card) -> None:
        """Here, or aside where it is not for everybody's eyes."""
        if card.private and (aside := self._place.aside()):
            await _say(aside, worded(card), card.picture)
            await self._say(SENT)
        else:
            await self._say(worded(card), card.picture)

    async def _hand_over(self, file: File) -> None:
        """Here, or aside where it is not for everybody's eyes."""
        if file.private and (aside := self._place.aside()):
            await _attach(aside, file)
            await self._say(SENT)
        else:
            await _attach(self._place, file)

    async def _watch(self, progress: Progress) -> None:
        """One message that changes until it has ended, or we have to go."""
        live, told = Live(self._place, self._pace), _Told(progress.opening)
        try:
            await live.follow(told.follow(progress.moments))
            for card in told.more:
                await self._say(worded(card), card.picture)
        except asyncio.CancelledError:
            await self._pace.turn()
            await live.show(told.left())
            raise


async def _say(place: Place, text: str, picture: Picture | None) -> None:
    """The text, in as many messages as it needs; a picture goes with the last of them."""
    *first, last = split(text)
    for piece in first:
        await place.send(piece)
    if picture:
        await place.attach(picture.name, picture.png, last)
    else:
        await place.send(last)


async def _attach(place: Place, file: File) -> None:
    """Attach it, or give its link; an internal address helps nobody. Raises `TooLarge`."""
    name, most = PurePath(file.name).name, place.largest_file
    if file.data.size <= most:
        await place.attach(name, await file.data.read(), file.text)
    elif link := file.data.link(name):
        await place.send(f"{file.text}\n<{link}>\n-# The link is good for an hour.")
    else:
        raise TooLarge(
            f"{name} has {file.data.size / MIB:.1f} MiB; at most {most / MIB:.0f} MiB can be attached "
            "here. It would come as a link if the operator set CHORUS_PUBLIC_S3_ENDPOINT.",
            code="too_large_to_attach",
        )


class _Told:
    """What a message says that changes: lines that stay, and below them how far it is now."""

    def __init__(self, opening: str) -> None:
        self._lines = [opening] if opening else []
        self._goes_on = False
        self.more: tuple[Card, ...] = ()
        """What is to be shown below it, once it has ended."""

    async def follow(self, moments: AsyncIterator[Moment]) -> AsyncIterator[str]:
        """The whole message, after each moment."""
        if self._lines:
            yield self._with()
        async for moment in moments:
            self._goes_on |= moment.job is not None
            self.more += moment.more
            if moment.note is not None:
                self._lines.append(moment.note)
            if text := self._with(_now(moment)):
                yield text

    def left(self) -> str:
        """What it says when we go before the end."""
        return self._with(LEFT if self._goes_on else LEFT_UNDONE)

    def _with(self, *last: str) -> str:
        return "\n".join(line for line in (*self._lines, *last) if line)


def worded(reply: Text | Card | Samples | Problem) -> str:
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
        case Samples():
            blocks = [_block(sample) for sample in reply.samples]
            footer = [f"-# {reply.footer}"] if reply.footer else []
            return "\n".join([f"**{reply.title}**", *blocks, *footer])


def _block(sample: list[Piece]) -> str:
    """A code block: nothing in it is Markdown or a mention, and a template's signs are seen as they are."""
    text = "".join(f"«{piece.text}»" if piece.learned else piece.text for piece in sample)
    return f"{FENCE}\n{text.replace(FENCE, NO_FENCE)}\n{FENCE}"


def _now(moment: Moment) -> str:
    """A moment in one line: bar, stage, figures; or how it ended."""
    if moment.outcome is not None:
        return worded(moment.outcome)
    return " · ".join([*_bar(moment), *([moment.stage] if moment.stage else []), *moment.figures])


def _bar(moment: Moment) -> list[str]:
    if not moment.total:
        return []
    done = round(BAR * min(1.0, moment.done / moment.total))
    return ["▰" * done + "▱" * (BAR - done)]
