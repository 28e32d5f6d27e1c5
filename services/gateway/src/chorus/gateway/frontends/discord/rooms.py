"""What is remembered of each channel, for as many channels as there is room for."""

from collections import OrderedDict
from dataclasses import dataclass, field

from chorus.gateway.commands.context import Session
from chorus.gateway.frontends.discord.streaming import Pace

ROOMS = 1000  # channels; the one that has been silent longest is forgotten first


@dataclass
class Room:
    """One channel: its conversation, its pace, and whether Discord lets us speak in it."""

    pace: Pace
    session: Session = field(default_factory=Session)
    silenced: bool = False


class Rooms:
    """Channels by id."""

    def __init__(self, edit_every: float, most: int = ROOMS) -> None:
        self._edit_every = edit_every
        self._most = most
        self._rooms: OrderedDict[int, Room] = OrderedDict()

    def of(self, channel: int) -> Room:
        """What is remembered of this channel."""
        room = self._rooms.pop(channel, None) or Room(Pace(self._edit_every))
        self._rooms[channel] = room
        if len(self._rooms) > self._most:
            self._rooms.popitem(last=False)
        return room
