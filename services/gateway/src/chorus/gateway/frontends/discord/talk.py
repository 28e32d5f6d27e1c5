"""What people say, as lines to run in the conversation that they go on with."""

from dataclasses import replace

import discord

from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.context import Context, Session
from chorus.gateway.commands.ports import Guilds
from chorus.gateway.commands.replies import Reply, Stream
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.discord.attached import with_files
from chorus.gateway.frontends.discord.choices import Choices
from chorus.gateway.frontends.discord.memory import Ear, Memory
from chorus.gateway.frontends.discord.messages import by_a_person, channel_of, heard, is_private, tenant
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.frontends.discord.said import spoken

AGAIN = (f"{PREFIX}regenerate", f"{PREFIX}continue")


class Talk:
    """Listens as each server wants it, and remembers what was said. `cdn` is where Discord keeps files."""

    def __init__(self, guilds: Guilds, rooms: Rooms, cdn: str) -> None:
        self._choices = Choices(guilds)
        self._rooms = rooms
        self._cdn = cdn
        self._memory = Memory(cdn)

    async def line(self, message: discord.Message, me: int) -> str | None:
        """The line that a message asks us to run, if it is meant for us; `me` is our user id."""
        if not by_a_person(message):
            return None
        ear = await self._ear(message, me)
        line = heard(message, me, ear.prefix, ear.listens)
        if line is None and (room := self._rooms.known(message.channel.id)):
            self._memory.overhear(message, room, ear)
        return line

    async def run(self, ctx: Context, message: discord.Message, line: str, me: int) -> Reply:
        """Run a message's line, in the conversation that it is part of."""
        room = self._rooms.of(message.channel.id, ctx.guild)
        session = await self._memory.session(message, line, room, await self._ear(message, me))
        if not line.startswith(PREFIX):
            line = await with_files(line, message.attachments, self._cdn)
        reply = await run(replace(ctx, session=session), line)
        if not isinstance(reply, Stream) or not _goes_on(message, line):
            return reply
        return self._remembered(reply, room, session)

    def changed(self, guild: str) -> None:
        """A command was run that may have changed how to listen there."""
        self._choices.forget(guild)

    async def _ear(self, message: discord.Message, me: int) -> Ear:
        """How to listen there; in direct messages there is nothing to choose."""
        if is_private(message) or message.guild is None:
            return Ear(me)
        settings = await self._choices.of(tenant(message))
        return Ear(me, settings.prefix, settings.in_channel(channel_of(message)).listen)

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
