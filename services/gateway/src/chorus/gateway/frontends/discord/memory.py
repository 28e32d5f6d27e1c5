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
from dataclasses import dataclass

import discord

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.context import Session
from chorus.gateway.frontends.discord.kept import Kept
from chorus.gateway.frontends.discord.messages import is_private
from chorus.gateway.frontends.discord.reading import Reader
from chorus.gateway.frontends.discord.rooms import Room
from chorus.gateway.frontends.discord.said import Said, read, spoken

A_WHILE = 600.0  # seconds in which a mention goes on with what was said in the channel
MOST = 2000  # messages, and as many answers


@dataclass(frozen=True)
class Ear:
    """How a channel is listened to."""

    me: int
    """Our user id."""
    prefix: str = PREFIX
    """What the server's commands begin with."""
    listens: bool = False
    """Whether all that is said in the channel is meant for us."""


class Memory:
    """The conversations of one client. `cdn` is where attached files are read from."""

    def __init__(self, cdn: str, most: int = MOST) -> None:
        self._cdn = cdn
        self._said: Kept[Said] = Kept(most)
        self._answers: Kept[list[Turn]] = Kept(most)

    async def session(self, message: discord.Message, line: str, room: Room, ear: Ear) -> Session:
        """The conversation that a message goes on with, or, of a command, the one that was last at hand."""
        reader = Reader(message, room, ear.me, ear.prefix, self._cdn, self._said, self._answers)
        linear = _is_linear(message, ear)
        if linear:
            await reader.begin()
        if spoken(line) is not None:
            if message.reference and (not linear or is_private(message)):
                room.begin(await reader.chain())
            elif not linear and time.monotonic() - room.talked_at > A_WHILE:
                room.begin()
            room.talked_at = time.monotonic()
        room.uses(message.id)
        return room.session

    def overhear(self, message: discord.Message, room: Room, ear: Ear) -> None:
        """Take note of what people tell each other in a thread, or in a channel where we listen."""
        if not room.is_read or message.id <= room.latest or not _is_linear(message, ear):
            return
        said = read(message, ear.me, ear.prefix)
        if said.by and said.text:
            room.session.turns.append(Turn(role="user", content=said.text, name=said.by))
            room.uses(message.id)

    def keep(self, answer: int, room: Room, session: Session) -> None:
        """An answer has been shown: whoever replies to it goes on from here."""
        self._answers.put(answer, list(session.turns))
        room.uses(answer)


def _is_linear(message: discord.Message, ear: Ear) -> bool:
    """Whether what is said there is one conversation, whoever replies to whom."""
    return ear.listens or is_private(message) or isinstance(message.channel, discord.Thread)
