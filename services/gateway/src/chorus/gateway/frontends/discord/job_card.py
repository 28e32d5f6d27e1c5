"""A job's card: the message that a training is shown in.

It can be reached as long as the job goes on: by its id after a restart, and in a new message before Discord
rations the edits of one that is older than an hour. The old message then says where the new one is.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import discord

from chorus.common.contracts.cards import SAID_AT_MOST, JobCard
from chorus.common.contracts.names import is_server
from chorus.common.contracts.wire import now
from chorus.gateway.commands.replies import Audio, Moment
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

    async def send(self, text: str, buttons: Buttons = (), nonce: str | None = None) -> Posted:
        """A message. Discord takes a nonce once, for some minutes: then it gives back what it has."""
        view, one = below(buttons), nonce or secrets.randbits(64)
        return Sent(await self._room.send(text, view=view, suppress_embeds=True, nonce=one))

    async def attach(
        self, name: str, data: bytes, text: str = "", buttons: Buttons = (), nonce: str | None = None
    ) -> None:
        """The file, below the text if there is one."""
        file, view, one = as_file(name, data), below(buttons), nonce or secrets.randbits(64)
        await self._room.send(text or None, view=view, file=file, suppress_embeds=True, nonce=one)

    async def speak(self, audio: Audio) -> None:
        """A file, as of trainings nothing is said aloud."""
        await self.attach(audio.name, audio.data)

    def aside(self) -> None:
        """Nobody has asked."""

    def message(self, number: str) -> Posted:
        """One that was said here."""
        return Sent(self._room.get_partial_message(int(number)))

    async def close(self, number: str, text: str) -> None:
        """Have one that was said here say this at last. Raises what Discord refuses."""
        await self._room.get_partial_message(int(number)).edit(content=text, view=None)


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

    What follows is said in the channel: how it was asked for may be forgotten by then. What stands below the
    card once the job has ended is said once, whoever is killed on the way.
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
        self._over = False  # the job
        self._number = 0  # of what is said next below the card
        self._below = card.below if card else 0
        self._message: CardMessage | None = None
        self._posted = asyncio.Event()
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
        if self._stands():
            return self._message
        posted = await self._room.send(text, buttons, self._nonce)
        await self._count()
        return posted

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """The file, below the card."""
        if not self._stands():
            await self._room.attach(name, data, text, buttons, self._nonce)
            await self._count()

    async def speak(self, audio: Audio) -> None:
        """A file: trainings say nothing aloud."""
        await self.attach(audio.name, audio.data)

    def aside(self) -> Place | None:
        """As where it was asked for."""
        return self._place.aside()

    async def noticed(self, opening: str, moments: AsyncIterator[Moment]) -> AsyncIterator[Moment]:
        """The same moments, as long as the card is ours; what is to stay above it is kept with it."""
        begun = self._job is not None
        self._said += [opening] if opening and not begun else []
        async for moment in moments:
            if self._message and self._message.lost:
                return
            if not begun:
                begun = moment.job is not None
                self._job = moment.job or moment.queues
                self._said += [moment.note] if moment.note else []
                if begun:
                    await to_its_end(self._note())
            self._over = moment.outcome is not None and begun
            yield moment
            if moment.queues:  # nothing is queued until it is known where it is shown
                await self._posted.wait()
                await to_its_end(self._note())

    def _stands(self) -> bool:
        """Whether what is to be said next stands below the card: whoever said it was killed then."""
        self._number += self._over
        return self._over and self._number <= self._below

    @property
    def _nonce(self) -> str | None:
        return f"{self._job}-{self._number}" if self._over else None

    async def _count(self) -> None:
        if self._over:
            self._below = self._number
            await to_its_end(self._note())

    async def _begin(self, text: str, buttons: Buttons) -> CardMessage:
        posted = await self._place.send(text, buttons)
        self._message = CardMessage(posted, now(), self._room, self._note)
        self._posted.set()
        await self._note()
        return self._message

    async def _note(self) -> None:
        """Keep where it is shown."""
        if self._job is None or self._message is None or self._message.lost:
            return
        self.card = JobCard(
            guild=self._shown.guild,
            job=self._job,
            channel=str(self._shown.room),
            message=self._message.id,
            posted_at=self._message.at,
            who=self._shown.who,
            said="\n".join(self._said)[-SAID_AT_MOST:],
            below=self._below,
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
    guild = new.guild if is_server(new.guild) else "@me"
    link = f"https://discord.com/channels/{guild}/{new.channel}/{new.message}"
    return "\n".join(part for part in (old.said, GOES_ON.format(link=link)) if part)
