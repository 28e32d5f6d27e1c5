"""What is remembered of each channel, for as many channels as there is room for."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field

from chorus.gateway.commands.context import Session
from chorus.gateway.frontends.discord.streaming import Pace

ROOMS = 1000  # channels; the one that has been silent longest is forgotten first
LIVELY = 3600.0  # seconds since somebody talked to us


@dataclass
class Room:
    """One channel: its conversation, its pace, and whether Discord lets us speak in it."""

    guild: str
    pace: Pace
    session: Session = field(default_factory=Session)
    silenced: bool = False
    spoken_at: float = field(default_factory=time.monotonic)


class Rooms:
    """Channels by id."""

    def __init__(self, edit_every: float, most: int = ROOMS) -> None:
        self._edit_every = edit_every
        self._most = most
        self._rooms: OrderedDict[int, Room] = OrderedDict()

    def of(self, channel: int, guild: str) -> Room:
        """What is remembered of this channel, which is the guild's."""
        room = self._rooms.pop(channel, None) or Room(guild, Pace(self._edit_every))
        room.spoken_at = time.monotonic()
        self._rooms[channel] = room
        if len(self._rooms) > self._most:
            self._rooms.popitem(last=False)
        return room

    def lively(self) -> dict[int, Room]:
        """Where people talked to us within the hour, in each guild the last such channel."""
        since = time.monotonic() - LIVELY
        last = {room.guild: (channel, room) for channel, room in self._rooms.items()}
        return dict(place for place in last.values() if place[1].spoken_at > since)

    def forget(self, guild: str) -> None:
        """Forget the conversations in all channels of a guild."""
        for room in self._rooms.values():
            if room.guild == guild:
                room.session.forget()
