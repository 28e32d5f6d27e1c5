"""What is remembered of each channel, for as many channels as there is room for."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from chorus.common.contracts.datasets import Turn
from chorus.gateway.commands.context import REMEMBERED, Session
from chorus.gateway.frontends.discord.streaming import Pace

ROOMS = 1000  # channels; the one that has been silent longest is forgotten first
LIVELY = 3600.0  # seconds since somebody talked to us


@dataclass
class Conversation(Session):
    """A session that draws a line in its room when it is forgotten."""

    room: "Room | None" = field(default=None, repr=False)

    def forget(self) -> None:
        """Begin anew: nothing said here before is used again, wherever it is read."""
        super().forget()
        if self.room:
            self.room.since = self.room.latest


@dataclass
class Room:
    """One channel: its conversation, its pace, and whether Discord lets us speak in it."""

    guild: str
    pace: Pace
    session: Session = field(default_factory=Session)
    """The conversation that was last at hand."""
    silenced: bool = False
    spoken_at: float = field(default_factory=time.monotonic)
    talked_at: float = -LIVELY
    """When somebody last said something in a conversation here."""
    latest: int = 0
    """Id of the newest message that was used."""
    since: int = 0
    """Nothing up to this id is used any more."""
    is_read: bool = False
    """Whether it was looked up what was said here before we came."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self, turns: Iterable[Turn] = ()) -> Session:
        """A conversation in place of the one there is, which goes on for those who are in it."""
        remembered = deque(turns, maxlen=REMEMBERED)
        self.session = Conversation(remembered, self.session.model, room=self)
        return self.session

    def uses(self, message: int) -> None:
        """Note the newest message."""
        self.latest = max(self.latest, message)


class Rooms:
    """Channels by id."""

    def __init__(self, edit_every: float, most: int = ROOMS) -> None:
        self._edit_every = edit_every
        self._most = most
        self._rooms: OrderedDict[int, Room] = OrderedDict()
        self._since: dict[str, int] = {}

    def of(self, channel: int, guild: str) -> Room:
        """What is remembered of this channel, which is the guild's."""
        room = self._rooms.pop(channel, None) or Room(
            guild, Pace(self._edit_every), since=self._since.get(guild, 0)
        )
        room.spoken_at = time.monotonic()
        self._rooms[channel] = room
        if len(self._rooms) > self._most:
            self._rooms.popitem(last=False)
        return room

    def known(self, channel: int) -> Room | None:
        """What is remembered of this channel, if anything is."""
        return self._rooms.get(channel)

    def lively(self) -> dict[int, Room]:
        """Where people talked to us within the hour, in each guild the last such channel."""
        since = time.monotonic() - LIVELY
        last = {room.guild: (channel, room) for channel, room in self._rooms.items()}
        return dict(place for place in last.values() if place[1].spoken_at > since)

    def forget(self, guild: str, at: int = 0) -> None:
        """Forget the conversations in all channels of a guild; `at` is the id of what asked for it."""
        self._since[guild] = max(at, self._since.get(guild, 0))
        for room in self._rooms.values():
            if room.guild == guild:
                room.uses(at)
                room.session.forget()
