"""Reading back what was said before a message: as far as Discord lets us, and no further than a reset.

At most 20 messages and 8,000 characters are used. Asked of Discord is only what is not remembered.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import discord
import structlog

from chorus.common.contracts.datasets import Turn
from chorus.gateway.commands.recent import Recent
from chorus.gateway.frontends.discord.attached import with_files
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.rooms import Room
from chorus.gateway.frontends.discord.said import Said, as_turns, joined, read

MESSAGES, CHARACTERS = 20, 8000  # that are used
BACK = 50  # messages that are looked through for them
AROUND = 21  # messages, among which are all parts of an answer of ours

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True)
class Here:
    """Where something is said."""

    channel: discord.abc.Messageable
    at: discord.abc.Snowflake
    """The message, or whatever else says it: its id tells when."""
    reference: discord.MessageReference | None = None
    """What it replies to."""


class Reader:
    """What was said before something. `said` and `answers` are what is remembered, by message id."""

    def __init__(
        self,
        here: Here,
        room: Room,
        me: int,
        prefix: str,
        cdn: str,
        said: Recent[int, Said],
        answers: Recent[int, list[Turn]],
    ) -> None:
        self._here = here
        self._channel = here.channel
        self._room = room
        self._me = me
        self._prefix = prefix
        self._cdn = cdn
        self._said = said
        self._answers = answers

    async def begin(self) -> None:
        """The first time in a room where all that is said is one conversation: go on with it."""
        async with self._room.reading:
            if self._room.is_read:
                return
            before = await self._look_back()
            starter = await self._starter(before)
            talk = [said for said in before if (said.text or said.files) and (said.by or said.reply_to)]
            found = [await self._whole(said) for said in [*starter, *talk[-MESSAGES:]]]
            self._room.begin(as_turns([*found[: len(starter)], *_fitting(reversed(found[len(starter) :]))]))

    async def chain(self) -> list[Turn]:
        """What was said in the messages that this one replies to, through one another."""
        reference = self._here.reference
        at = reference.message_id if reference else None
        found: list[Said] = []
        known: list[Turn] = []
        while at and len(found) < MESSAGES and sum(len(said.text) for said in found) < CHARACTERS:
            said = None if (told := self._answers.get(at)) else await self._find(at)
            if at <= self._room.since:  # which may have been found out just now
                break
            if said is None:
                known = told or []
                break
            found += [await self._whole(said)] if said.text or said.files else []
            at = said.reply_to
        turns = as_turns(_fitting(found))
        if known and turns and known[-1].role == turns[0].role == "assistant":  # asked again since
            known = known[:-1]
        return [*known, *turns]

    async def _find(self, at: int) -> Said | None:
        """One message: remembered, sent along with the reply, among the last ones here, or asked for."""
        if (said := self._said.get(at)) is not None:
            return said
        async with self._room.reading:
            if not self._room.is_read:
                await self._look_back()
        if (said := self._said.get(at)) is not None:
            return said
        reference = self._here.reference
        message = reference.resolved if reference and reference.message_id == at else None
        if not isinstance(message, discord.Message):
            message = await _allowed(self._channel.fetch_message(at))
        if message is None:
            return None
        said = read(message, self._me, self._prefix)
        if said.by is None and said.text and (said.goes_on or said.reply_to is None):
            await self._messages(limit=AROUND, around=message)  # more of the same answer
        if self._said.get(at) is None:
            self._said.put(at, said)
        return self._said.get(at)

    async def _look_back(self) -> list[Said]:
        """The last messages here since a reset, oldest first."""
        self._room.is_read = True
        before = await self._messages(limit=BACK, before=self._here.at)
        resets = [max(said.ids) for said in before if said.is_reset]
        self._room.since = max(self._room.since, *resets, 0)
        return [said for said in before if min(said.ids) > self._room.since]

    async def _messages(self, **where: object) -> list[Said]:
        """Messages of the channel, oldest first, answers of ours as one each."""
        messages = await _allowed(_all(self._channel.history(**where))) or []  # pyright: ignore[reportArgumentType]
        messages.sort(key=lambda message: message.id)
        found = list(joined(read(message, self._me, self._prefix) for message in messages))
        for said in found:
            for number in said.ids:
                self._said.put(number, said)
        return found

    async def _starter(self, before: Sequence[Said]) -> list[Said]:
        """The message that a thread is about, if we were not told of it already."""
        thread = self._channel
        if not isinstance(thread, discord.Thread) or thread.id <= self._room.since:
            return []
        if any(thread.id in said.ids for said in before):
            return []
        place = thread.parent if isinstance(thread.parent, discord.TextChannel) else thread
        message = await _allowed(place.fetch_message(thread.id))
        said = read(message, self._me, self._prefix) if message else None
        return [said] if said and (said.text or said.files) else []

    async def _whole(self, said: Said) -> Said:
        """The message with what its files say, which are read once."""
        if not said.files:
            return said
        whole = replace(said, text=await with_files(said.text, said.files, self._cdn), files=())
        for number in said.ids:
            self._said.put(number, whole)
        return whole


def _fitting(newest_first: Iterable[Said]) -> list[Said]:
    """As many of them as may be used, oldest first; the first that is too long is cut short."""
    room, fitting = CHARACTERS, list[Said]()
    for said in newest_first:
        if room <= 0:
            break
        fitting.append(replace(said, text=said.text[:room]))
        room -= len(said.text)
    return fitting[::-1]


async def _all(messages: AsyncIterator[T]) -> list[T]:
    return [message async for message in messages]


async def _allowed(asked: Awaitable[T]) -> T | None:
    """What Discord answers; None where it does not let us, or has nothing: then the past ends there."""
    try:
        return await asked
    except (discord.Forbidden, discord.NotFound):
        return None
    except FAILURES as error:
        log.warning("what was said before cannot be read", error=reason(error))
        return None
