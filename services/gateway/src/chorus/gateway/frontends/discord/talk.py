"""What people say, as lines to run in the conversation that they go on with."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

import discord

from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.context import Context, Session
from chorus.gateway.commands.replies import Reply, Stream
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.discord.attached import with_files
from chorus.gateway.frontends.discord.memory import Memory
from chorus.gateway.frontends.discord.mentions import by_name
from chorus.gateway.frontends.discord.messages import Ear, heard
from chorus.gateway.frontends.discord.origin import Origin
from chorus.gateway.frontends.discord.reading import Here
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.frontends.discord.said import spoken

AGAIN = (f"{PREFIX}regenerate", f"{PREFIX}continue")


class Talk:
    """Listens as each server wants it, and remembers what was said. `cdn` is where Discord keeps files."""

    def __init__(self, rooms: Rooms, cdn: str) -> None:
        self._rooms = rooms
        self._cdn = cdn
        self._memory = Memory(cdn)

    def line(self, message: discord.Message, ear: Ear) -> str | None:
        """The line that a message asks us to run, if it is meant for us."""
        line = heard(message, ear)
        if line is None and (room := self._rooms.known(message.channel.id)):
            self._memory.overhear(message, room, ear)
        return line

    async def run(self, ctx: Context, message: discord.Message, line: str, ear: Ear) -> Reply:
        """Run a message's line, in the conversation that it is part of."""
        room = self._rooms.of(message.channel.id, ctx.guild)
        here = Here(message.channel, message, message.reference)
        session = await self._memory.session(here, room, ear, says=spoken(line) is not None)
        reply = await run(replace(ctx, session=session), line)
        if not isinstance(reply, Stream) or not _goes_on(message, line):
            return reply
        return self._remembered(reply, room, session)

    async def say(
        self,
        ctx: Context,
        interaction: discord.Interaction[Any],
        ear: Ear,
        work: Callable[[Context], Awaitable[Reply]],
    ) -> Reply:
        """Do what a slash command says in the conversation of its channel."""
        if not isinstance(interaction.channel, discord.abc.Messageable):
            return await work(ctx)
        room = self._rooms.of(interaction.channel.id, ctx.guild)
        here = Here(interaction.channel, interaction)
        session = await self._memory.session(here, room, ear, says=True)
        reply = await work(replace(ctx, session=session))
        return self._remembered(reply, room, session) if isinstance(reply, Stream) else reply

    async def pressed(self, ctx: Context, origin: Origin, line: str) -> Reply:
        """Run the line of a button. An answer that is asked for again is part of its conversation."""
        reply = await run(ctx, line)
        asked = ctx.session.asked
        if not isinstance(reply, Stream) or asked is None or not asked.in_conversation:
            return reply
        return self._remembered(reply, self._rooms.of(origin.room, origin.guild), ctx.session)

    def told(
        self, origin: Origin, heard: Collection[discord.Attachment] = ()
    ) -> Callable[[str], Awaitable[str]]:
        """How a model is told what comes from there: names for mentions, then the texts that came with it.

        What is `heard` is among the words already.
        """
        files = [file for file in origin.attachments if file not in heard]
        guild = origin.person.guild if isinstance(origin.person, discord.Member) else None
        mentioned = origin.message.mentions if origin.message and origin.via == "message" else ()

        async def told(words: str) -> str:
            return await with_files(by_name(words, guild, mentioned), files, self._cdn)

        return told

    def _remembered(self, stream: Stream, room: Room, session: Session) -> Stream:
        """The same answer, which can be gone on from once it is shown."""

        async def kept(message: str) -> None:
            self._memory.keep(int(message), room, session)
            if stream.kept:
                await stream.kept(message)

        return replace(stream, kept=kept)


def _goes_on(message: discord.Message, line: str) -> bool:
    """Whether its answer belongs to the session: what is said, and the last question asked again."""
    again = line.lower().startswith(AGAIN) and message.reference is None
    return again or spoken(line) is not None
