"""A job's card: the message that a training is shown in.

It can be reached as long as the job goes on: by its id after a restart, and in a new message before Discord
rations the edits of one that is older than an hour. The old message then says where the new one is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import discord

from chorus.common.contracts.cards import SAID_AT_MOST, JobCard
from chorus.common.contracts.wire import now
from chorus.gateway.commands.replies import Moment
from chorus.gateway.frontends.discord.buttons import below
from chorus.gateway.frontends.discord.place import Buttons, Place, Posted, Sent, as_file

T = TypeVar("T")

ANEW_AFTER = timedelta(minutes=55)
"""Discord lets a message be edited at will for an hour."""
GOES_ON = "-# This goes on here: {link}"


@dataclass(frozen=True)
class Shown:
    """Where something is watched, and for whom."""

    guild: str
    room: int
    """Id of the channel or thread."""
    who: str


class InRoom:
    """`Place` in a channel, beneath nothing: it can be reached as long as the channel is there."""

    def __init__(self, room: discord.PartialMessageable, largest_file: int) -> None:
        self._room = room
        self.largest_file = largest_file

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """A message."""
        return Sent(await self._room.send(text, view=below(buttons), suppress_embeds=True))

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """The file, below the text if there is one."""
        file = as_file(name, data)
        await self._room.send(text or None, view=below(buttons), file=file, suppress_embeds=True)

    def aside(self) -> None:
        """Nobody has asked."""

    def message(self, number: str) -> Posted:
        """One that was said here."""
        return Sent(self._room.get_partial_message(int(number)))


class CardMessage:
    """`Posted`: the card. One that has grown too old is said anew; one that another process shows is left."""

    def __init__(
        self, posted: Posted, posted_at: datetime, room: InRoom, moved: Callable[[], Awaitable[None]]
    ) -> None:
        self._posted = posted
        self._room = room
        self._moved = moved
        self.at = posted_at
        self.lost = False

    @property
    def id(self) -> str:
        """Of the message that shows it now."""
        return self._posted.id

    async def edit(self, text: str, buttons: Buttons = ()) -> None:
        """Show this from now on."""
        if self.lost:
            return
        if now() - self.at < ANEW_AFTER:
            before = self.id
            await self._posted.edit(text, buttons)
            if self.id == before:
                return
        else:
            self._posted = await self._room.send(text, buttons)
        self.at = now()
        await self._moved()


class CardPlace:
    """`Place` whose first message becomes a job's card, once it is known that there is a job.

    What follows is said in the channel: how it was asked for may be forgotten by then.
    """

    def __init__(
        self,
        shown: Shown,
        place: Place,
        room: InRoom,
        keep: Callable[["CardPlace", JobCard], Awaitable[None]],
        card: JobCard | None = None,
    ) -> None:
        self._shown = shown
        self._place = place
        self._room = room
        self._keep = keep
        self._job = card.job if card else None
        self._said = [card.said] if card else []
        self._message: CardMessage | None = None
        self.card = card
        """As it is stored; None until there is both a job and a message."""
        if card:
            posted = room.message(card.message)
            self._message = CardMessage(posted, card.posted_at, room, self._note)
        self._taken_up = card is not None

    @property
    def largest_file(self) -> int:
        """As where it was asked for."""
        return self._place.largest_file

    def lose(self) -> None:
        """Another process shows it from now on."""
        if self._message:
            self._message.lost = True

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """The card; then whatever is to be said below it."""
        if self._message is None:
            return await to_its_end(self._begin(text, buttons))
        if self._taken_up:
            self._taken_up = False
            await self._message.edit(text, buttons)
            return self._message
        return await self._room.send(text, buttons)

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """The file, below the card."""
        await self._room.attach(name, data, text, buttons)

    def aside(self) -> Place | None:
        """As where it was asked for."""
        return self._place.aside()

    async def noticed(self, opening: str, moments: AsyncIterator[Moment]) -> AsyncIterator[Moment]:
        """The same moments, as long as the card is ours; what is to stay above it is kept with it."""
        said = [opening] if opening else []
        async for moment in moments:
            if self._message and self._message.lost:
                return
            if self._job is None:
                said += [moment.note] if moment.note else []
                self._job, self._said = moment.job, said
                if self._job:
                    await to_its_end(self._note())
            yield moment

    async def _begin(self, text: str, buttons: Buttons) -> CardMessage:
        posted = await self._place.send(text, buttons)
        self._message = CardMessage(posted, now(), self._room, self._note)
        await self._note()
        return self._message

    async def _note(self) -> None:
        """Keep where it is shown."""
        if self._job is None or self._message is None:
            return
        self.card = JobCard(
            guild=self._shown.guild,
            job=self._job,
            channel=str(self._shown.room),
            message=self._message.id,
            posted_at=self._message.at,
            who=self._shown.who,
            said="\n".join(self._said)[-SAID_AT_MOST:],
        )
        await self._keep(self, self.card)


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do this even where we are asked to leave meanwhile: nobody would find a card that is not kept."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def goes_on(old: JobCard, new: JobCard) -> str:
    """What the old message of a card says when there is a new one."""
    guild = new.guild if new.guild.isdigit() else "@me"
    link = f"https://discord.com/channels/{guild}/{new.channel}/{new.message}"
    return "\n".join(part for part in (old.said, GOES_ON.format(link=link)) if part)
