"""Who has a place in the engine, who waits for one, and who has to leave for it.

A free place goes to the guild that has the fewest; several take turns, and within a guild it is first come,
first served. Where none is free, one of those that answer is marked as leaving: the one with the fewest
requests, and of those the one that was used longest ago. It takes no new requests and goes when its last one
ends. Who asks for it meanwhile gets a new seat, at the end of the queue: so nobody waits for ever, however
popular others are.

Nobody leaves for a guild that has more places itself, unless nobody has used it for a while: a guild that
asks for fifty versions at once takes turns among its own.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from chorus.common.errors import ChorusError
from chorus.inference.generation.catalogue import Found
from chorus.inference.generation.ports import Adapter, Engine

RESTED = 60.0  # seconds; what nobody has used for so long leaves for anybody

Key = tuple[str, str]
"""A guild, and the hash of a manifest."""


@dataclass(eq=False)
class Seat:
    """An adapter that is in the engine, or on its way there."""

    guild: str
    found: Found
    adapter: Adapter | None = None
    error: ChorusError | None = None
    users: int = 0
    """Requests that wait for it, or that it answers: it does not leave before it has answered them."""
    used: float = 0.0
    """When it was used last, on the monotonic clock."""
    leaving: bool = False
    stale: bool = False
    """The engine that it was loaded into is no more."""
    in_engine: bool = True
    """Whether there may be something to unload: who asked a dead engine may be asking the next one."""
    placed: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Loaded, or on disk and waiting for a place; or it has failed."""
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    """Loaded; or it has failed."""
    free: asyncio.Event = field(default_factory=asyncio.Event)
    """It is leaving, and nobody uses it."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Key:
        """What it is the seat of."""
        return key_of(self.guild, self.found)

    @property
    def answers(self) -> bool:
        """Whether it is in the engine and takes requests."""
        return self.loaded.is_set() and not self.leaving

    def touch(self) -> None:
        """It is used now."""
        self.used = time.monotonic()

    def release(self) -> None:
        """One request less."""
        self.users -= 1
        if self.leaving and not self.users:
            self.free.set()

    def fail(self, error: ChorusError) -> None:
        """Tell all who wait for it that it will not come."""
        self.error = error
        self.settled.set()
        self.loaded.set()


def key_of(guild: str, found: Found) -> Key:
    """What a version's seat is known by."""
    return guild, found.version.manifest.sha256


class Seats:
    """All seats of one engine, of which as many have a place as it holds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._taking: dict[Key, Seat] = {}  # requests
        self._queue: list[Seat] = []
        self._turns = count(1)
        self._had: dict[str, int] = {}  # of each guild that has seats: which turn was its latest
        self.all: list[Seat] = []
        """Those that are leaving, too."""
        self.placed: list[Seat] = []

    def of(self, key: Key) -> Seat | None:
        """The one that takes requests for an adapter."""
        return self._taking.get(key)

    def add(self, seat: Seat) -> None:
        """Have it take requests."""
        self._taking[seat.key] = seat
        self.all.append(seat)

    def has_room(self) -> bool:
        """Whether one more would find a place at once."""
        return len({seat.key for seat in self.all}) < self._engine.capacity

    def idle(self, guild: str | None = None) -> Seat | None:
        """Of those in the engine that nobody uses at this moment, the one that was used longest ago.

        Where a guild is named: of those that would leave for it.
        """
        have = _by_guild(seat.key for seat in self.placed if not seat.leaving)
        unused = (
            seat
            for seat in self.placed
            if seat.answers and not seat.users and (guild is None or _leaves_for(guild, seat, have))
        )
        return min(unused, key=lambda seat: seat.used, default=None)

    def has_twin(self, seat: Seat) -> bool:
        """Whether another seat of the same adapter has a place: the engine was started anew meanwhile."""
        return any(other.key == seat.key for other in self.placed if other is not seat)

    def forget(self) -> None:
        """The engine is a new one: all that were loaded leave, and are not in the way of others like them."""
        for seat in self.placed:
            if seat.loaded.is_set():
                seat.stale, seat.in_engine = True, seat.users > 0
                self.leave(seat)

    def wait(self, seat: Seat) -> None:
        """Stand in line for a place."""
        self._queue.append(seat)
        self.arrange()

    def leave(self, seat: Seat) -> None:
        """Take no more requests, and go when the last one ends."""
        seat.leaving = True
        if self._taking.get(seat.key) is seat:
            del self._taking[seat.key]
        if not seat.users:
            seat.free.set()

    def remove(self, seat: Seat) -> None:
        """It is gone; its place is another's."""
        self.leave(seat)
        for seats in (self.all, self._queue, self.placed):
            if seat in seats:
                seats.remove(seat)
        if all(other.guild != seat.guild for other in self.all):
            self._had.pop(seat.guild, None)
        seat.gone.set()
        self.arrange()

    def arrange(self) -> None:
        """Give free places to those whose turn it is; for each of the others, one has to leave."""
        for seat in self._in_turn():
            twins = [other for other in self.placed if other.key == seat.key]
            if all(other.stale for other in twins) if twins else self._free() > 0:
                self._queue.remove(seat)
                self._had[seat.guild] = next(self._turns)
                self.placed.append(seat)
                seat.placed.set()
        staying = {seat.key for seat in self.placed if not seat.leaving}
        coming = len({seat.key for seat in self.placed} - staying)  # places
        have = _by_guild(staying)
        for place, seat in enumerate(self._in_turn()):
            if place < coming or self._make_way(seat.guild, have):
                have[seat.guild] += 1

    def _in_turn(self) -> list[Seat]:
        """Those who wait: whose guild has the fewest places first; of several guilds, they take turns."""
        have = _by_guild(seat.key for seat in self.placed)
        turns: list[tuple[int, int, Seat]] = []
        for seat in self._queue:
            turns.append((have[seat.guild], self._had.get(seat.guild, 0), seat))
            have[seat.guild] += 1
        return [seat for *_, seat in sorted(turns, key=lambda turn: turn[:2])]

    def _make_way(self, guild: str, have: Counter[str]) -> bool:
        """Have one leave for the guild; whether there was one."""
        answering = [seat for seat in self.placed if seat.answers and _leaves_for(guild, seat, have)]
        if not answering:
            return False
        seat = min(answering, key=lambda seat: (seat.users, seat.used))
        self.leave(seat)
        have[seat.guild] -= 1
        return True

    def _free(self) -> int:
        """Places; two seats of the same adapter share one."""
        return self._engine.capacity - len({seat.key for seat in self.placed})


def _leaves_for(guild: str, seat: Seat, have: Counter[str]) -> bool:
    rested = not seat.users and time.monotonic() - seat.used > RESTED
    return seat.guild == guild or have[seat.guild] >= have[guild] or rested


def _by_guild(keys: Iterable[Key]) -> Counter[str]:
    """Places of each guild; two seats of the same adapter share one."""
    return Counter(guild for guild, _ in set(keys))
