"""What the model is told of what was said before. Discord has it: here is only what was read of it lately.

a reply                   the chain of replies that it ends, and so any answer can be gone on from, as often
                          as one likes; a message of somebody else's that one replies to is part of it
a thread                  what was said in it, its starter message first
a direct message          what was said there
a channel that listens    what was said there, by whom
a mention elsewhere       begins anew, unless somebody talked to us there within some minutes

What was said before we came is read back; after that it is remembered as it comes. `!reset` draws a line, and
so does whoever has their words deleted. The line of a reset is found again after a restart: it is our own
message that says so.
"""

import time

import discord

from chorus.common.contracts.datasets import Turn
from chorus.gateway.commands.context import Session
from chorus.gateway.commands.recent import Recent
from chorus.gateway.frontends.discord.messages import Ear
from chorus.gateway.frontends.discord.reading import Here, Reader
from chorus.gateway.frontends.discord.rooms import Room
from chorus.gateway.frontends.discord.said import Said, read

A_WHILE = 600.0  # seconds in which a mention goes on with what was said in the channel
MOST = 2000  # messages, and as many answers


class Memory:
    """The conversations of one client. `cdn` is where attached files are read from."""

    def __init__(self, cdn: str, most: int = MOST) -> None:
        self._cdn = cdn
        self._said: Recent[int, Said] = Recent(most)
        self._answers: Recent[int, list[Turn]] = Recent(most)

    async def session(self, here: Here, room: Room, ear: Ear, *, says: bool) -> Session:
        """The conversation that somebody goes on with who `says` something in it.

        Of any other command it is the one that was last at hand.
        """
        reader = Reader(here, room, ear.me, ear.prefix, self._cdn, self._said, self._answers)
        linear = _is_linear(here.channel, ear)
        if linear:
            await reader.begin()
        if says:
            if here.reference and (not linear or isinstance(here.channel, discord.DMChannel)):
                room.begin(await reader.chain())
            elif not linear and time.monotonic() - room.talked_at > A_WHILE:
                room.begin()
            room.talked_at = time.monotonic()
        room.uses(here.at.id)
        return room.session

    def overhear(self, message: discord.Message, room: Room, ear: Ear) -> None:
        """Take note of what people tell each other in a thread, or in a channel where we listen."""
        if not room.is_read or message.id <= room.latest or not _is_linear(message.channel, ear):
            return
        said = read(message, ear.me, ear.prefix)
        if said.by and said.text:
            room.session.turns.append(Turn(role="user", content=said.text, name=said.by))
            room.uses(message.id)

    def keep(self, answer: int, room: Room, session: Session) -> None:
        """An answer has been shown: whoever replies to it goes on from here."""
        self._answers.put(answer, list(session.turns))
        room.uses(answer)


def _is_linear(channel: discord.abc.Messageable, ear: Ear) -> bool:
    """Whether what is said there is one conversation, whoever replies to whom."""
    return ear.listens or isinstance(channel, discord.DMChannel | discord.Thread)
