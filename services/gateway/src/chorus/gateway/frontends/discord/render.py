"""Replies as messages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import PurePath

import discord
import structlog

from chorus.common.contracts.datasets import Piece
from chorus.common.contracts.generation import Delta, End, Waiting
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
    offered,
    problem,
)
from chorus.gateway.commands.table import OUR_FAULT
from chorus.gateway.frontends.discord.answers import AI, growing
from chorus.gateway.frontends.discord.failures import FAILURES
from chorus.gateway.frontends.discord.place import Buttons, Place
from chorus.gateway.frontends.discord.splitting import FENCE, LIMIT, split
from chorus.gateway.frontends.discord.streaming import SHOWN, Live, Pace

BAR = 12  # signs
NOTHING = "-# Nothing is in it."
ALL_OF_IT = "reply.md"
TOO_LONG = "-# That was only the beginning. All of it is in the file above."
NO_FENCE = "`\u200b`\u200b`"  # looks like one, with nothing between the signs
SENT = "Sent to you as a direct message."
LEFT = "-# I am restarted meanwhile. !jobs tells how it goes on."
LEFT_UNDONE = "-# I am restarted, and this was not finished. Ask for it again in a minute."

Pieces = AsyncIterator[Waiting | Delta | End]

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
                    await _say(self._place, worded(reply), _buttons_of(reply))
                case Card():
                    await self._lay_out(reply)
                case Stream():
                    await self._answer(reply)
                case Progress():
                    await self._watch(reply)
                case Audio():
                    await self._speak(reply)
                case File():
                    await self._hand_over(reply)
        except ChorusError as error:
            await self._say(worded(problem(error)))
        except FAILURES:
            raise
        except Exception:
            log.exception("reply failed")
            await self._say(worded(OUR_FAULT))

    async def _say(self, text: str) -> None:
        await _say(self._place, text)

    async def _lay_out(self, card: Card) -> None:
        """Here, or aside where it is not for everybody's eyes."""
        if card.private and (aside := self._place.aside()):
            await _say(aside, worded(card), picture=card.picture)
            await _say(self._place, SENT, card.buttons)  # here: their lines are about this place
        else:
            await _say(self._place, worded(card), card.buttons, card.picture)
        if card.shown:
            card.shown()

    async def _answer(self, stream: Stream) -> None:
        """One text that grows; once it is whole, its buttons, and whoever keeps it hears where it stands."""
        live = Live(self._place, self._pace)
        ends: list[End] = []
        with ExitStack() as until_shown:
            pieces = _noted(stream.pieces, lambda: until_shown.enter_context(self._pace.grows()), ends)
            await live.follow(
                growing(replace(stream, pieces=pieces)), lambda: offered(stream, ends[-1]) if ends else ()
            )
        if ends and stream.kept:
            for message in live.ids:
                await stream.kept(message)
        if ends and stream.aloud and (audio := await stream.aloud()):
            await self.show(audio)

    async def _speak(self, audio: Audio) -> None:
        """As a voice message, which has no words; as a file where it needs some, or Discord takes none."""
        words = AI if audio.in_role else audio.note
        if not words:
            try:
                await self._place.speak(audio)
                return
            except discord.DiscordException as error:
                log.info("no voice message", reason=str(error))
        await self._place.attach(PurePath(audio.name).name, audio.data, words)

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
            await live.follow(told.follow(progress.moments, live))
        except asyncio.CancelledError:
            await self._pace.turn()
            await live.show(told.left())
            raise
        for card in told.more:
            await self._lay_out(card)


async def _noted(pieces: Pieces, begin: Callable[[], object], ends: list[End]) -> Pieces:
    """The same pieces; told are the first word, when it comes, and their end, where they come to it."""
    begun = False
    async for piece in pieces:
        if isinstance(piece, Delta) and not begun:
            begun = True
            begin()
        elif isinstance(piece, End):
            ends.append(piece)
        yield piece


async def _say(place: Place, text: str, buttons: Buttons = (), picture: Picture | None = None) -> None:
    """The text, in as many messages as it needs; buttons and a picture go with the last of them.

    What needs more than a few would drown a channel: its beginning is shown, and all of it is in a file.
    """
    *first, last = split(text) or [NOTHING]
    if len(first) >= SHOWN:
        await place.attach(ALL_OF_IT, text.encode(), first[0])
        first, last = [], TOO_LONG
    for piece in first:
        await place.send(piece)
    if picture:
        await place.attach(picture.name, picture.png, last, buttons)
    else:
        await place.send(last, buttons)


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
        self._begun: int | None = None  # how many lines there were when a job began
        self.more: tuple[Card, ...] = ()
        """What is to be shown below it, once it has ended."""

    async def follow(self, moments: AsyncIterator[Moment], live: Live) -> AsyncIterator[str]:
        """The whole message, after each moment; what can be pressed then is told to `live`."""
        if self._lines:
            yield self._with()
        async for moment in moments:
            live.buttons = moment.buttons or _buttons_of(moment.outcome)
            self.more += moment.more
            if moment.note is not None:
                self._lines.append(moment.note)
            if moment.job and self._begun is None:
                self._begun = len(self._lines)
            if text := self._with(_now(moment)):
                yield text

    def left(self) -> str:
        """What it says when we go before the end."""
        return self._with(LEFT_UNDONE if self._begun is None else LEFT)

    def _with(self, last: str = "") -> str:
        """All of it. Of what a job has said, as much as one message holds, the newest: it may say a lot."""
        while self._begun is not None and len(self._lines) > self._begun and len(self._whole(last)) > LIMIT:
            del self._lines[self._begun]
        return self._whole(last)

    def _whole(self, last: str) -> str:
        return "\n".join(line for line in (*self._lines, last) if line)


def worded(reply: Text | Card | Samples | Problem) -> str:
    """A reply in Discord's Markdown."""
    match reply:
        case Text(text):
            return text
        case Problem():
            return reply.line
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


def _buttons_of(reply: Text | Problem | Samples | None) -> Buttons:
    return () if reply is None or isinstance(reply, Samples) else reply.buttons


def _bar(moment: Moment) -> list[str]:
    if not moment.total:
        return []
    done = round(BAR * min(1.0, moment.done / moment.total))
    return ["▰" * done + "▱" * (BAR - done)]
