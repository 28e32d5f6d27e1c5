"""Who may use the engine, and when: bounded lines, one for each guild, that take turns.

    with admission.place(guild) as place:      counted from here on, or refused at once as `busy`
        …                                      make the model ready
        async with place.turn(tell):           wait in the guild's line; then a slot of the engine is held

A free slot goes to the guild that holds the fewest, of several in turn. A guild holds at most a multiple of
those that are free (a dynamic threshold: Choudhury and Hahne, 1998): `ALONE` it has nearly all of them, and
who comes beside it finds one at once. `BESIDE` others, who have asked `LATELY`, it has fewer: all who are in
the engine share its steps, and a long step is what the others would wait for.

Who is refused is told when to come back. Each gets a time of its own, one after the other at the pace at
which slots have become free lately: a burst does not return as a burst.
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from chorus.common.contracts.generation import Waiting
from chorus.common.errors import Unavailable
from chorus.inference.generation.ports import Tell
from chorus.inference.metrics import InferenceMetrics

ALONE, BESIDE = 7, 1  # of 64 slots a lone guild has 56, one beside a quiet one 32, two loud ones 22 each
LATELY = 10.0  # seconds
NEWCOMERS = 500  # of guilds that have nothing yet, beside all that may wait; less than the responder takes
TELL_EVERY = 10.0  # seconds; who asks gives up after 30 to 60 of silence

GUESS = 0.5  # seconds that a reply takes, until one has been timed; too long would leave slots empty
NEWEST = 0.1  # weight of the newest reply in the average, once there are some
LATEST = 30.0  # seconds; nobody is sent away for longer
SPREAD = (0.75, 1.0)  # of the time told: those who would be told the same do not come at the same moment


@dataclass
class _Guild:
    places: int = 0
    held: int = 0
    """Of its places those that have a slot."""
    line: deque[asyncio.Future[None]] = field(default_factory=deque)
    back_at: float = 0.0
    """When the last one that was refused is to come back (`time.monotonic`)."""


class Admission:
    """`at_once` slots; `waiting` requests may wait for one, and `guild_waiting` of one guild.

    The line of all is no reason to refuse a guild's only request: a few guilds can fill it.
    """

    def __init__(self, *, at_once: int, waiting: int, guild_waiting: int, metrics: InferenceMetrics) -> None:
        self._free = at_once
        self._most = waiting
        self._most_of_guild = guild_waiting
        self._metrics = metrics
        self._guilds: dict[str, _Guild] = {}  # the next one to get a slot first
        self._lately: dict[str, float] = {}  # when each guild asked (`time.monotonic`), the latest one last
        self._reply_takes = GUESS
        self._timed = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return sum(len(guild.line) for guild in self._guilds.values())

    @contextmanager
    def place(self, guild: str) -> Generator["Place"]:
        """A place for one request. Raises `Unavailable`: `busy`, or `shutting_down`."""
        self._check_open()
        self._seen(guild)
        ours = self._guilds.get(guild) or _Guild()
        in_all = sum(each.places - each.held for each in self._guilds.values())
        of_guild = ours.places - ours.held
        if of_guild >= self._most_of_guild + self._room(ours):
            raise self._busy(ours, of_guild)
        if in_all >= self._most + (self._room(ours) if ours.places else NEWCOMERS):
            raise self._busy(ours, in_all)
        self._guilds[guild] = ours
        ours.places += 1
        try:
            yield Place(self, guild)
        finally:
            ours.places -= 1
            if not ours.places:
                del self._guilds[guild]

    def close(self) -> None:
        """Hand back all that waits: `shutting_down`. What has a slot keeps it; nobody new gets a place."""
        self._closed = True
        for guild in self._guilds.values():
            for slot in guild.line:
                slot.cancel()

    # --- slots, for `Place` ----------------------------------------------------------------------
    def join(self, guild: str) -> asyncio.Future[None]:
        """Stand in the guild's line: a future that is done once a slot is held."""
        self._check_open()
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._guilds[guild].line.append(slot)
        self._hand_out()
        return slot

    def waited(self, seconds: float) -> None:
        """One got its slot after so long."""
        self._metrics.waited(seconds)

    def leave(self, guild: str, slot: asyncio.Future[None], held: float | None) -> None:
        """Leave the line, or give the slot back after `held` seconds."""
        ours = self._guilds[guild]
        if slot in ours.line:
            ours.line.remove(slot)
        else:
            ours.held -= 1
            self._free += 1
        if held is not None:
            self._timed += 1
            self._reply_takes += max(NEWEST, 1 / self._timed) * (held - self._reply_takes)
        self._hand_out()

    def ahead(self, guild: str, slot: asyncio.Future[None]) -> int:
        """How many get a slot before this one, at most."""
        turns = self._guilds[guild].line.index(slot) + 1
        return sum(min(turns, len(each.line)) for each in self._guilds.values()) - 1

    def _hand_out(self) -> None:
        """Give free slots to those whose turn it is."""
        while guild := self._next():
            ours = self._guilds[guild] = self._guilds.pop(guild)  # to the end: the others come first now
            ours.held += 1
            self._free -= 1
            ours.line.popleft().set_result(None)
        self._metrics.waiting(self.waiting)

    def _next(self) -> str | None:
        """The guild that holds the fewest slots of those that may have one; of several, the next in turn."""
        may = [name for name, ours in self._guilds.items() if ours.line and self._room(ours)]
        return min(may, key=lambda name: self._guilds[name].held) if may and not self._closed else None

    def _room(self, ours: _Guild) -> int:
        """How many slots more the guild could have now: it takes one while `held < share * free`."""
        share = ALONE if len(self._lately) < 2 else BESIDE
        return max(0, math.ceil((share * self._free - ours.held) / (share + 1)))

    def _seen(self, guild: str) -> None:
        """Know who has asked lately."""
        at = time.monotonic()
        self._lately.pop(guild, None)
        self._lately[guild] = at
        while at - self._lately[first := next(iter(self._lately))] > LATELY:
            del self._lately[first]

    # --- refusals --------------------------------------------------------------------------------
    def _busy(self, ours: _Guild, ahead: int) -> Unavailable:
        at = time.monotonic()
        ours.back_at = max(ours.back_at, at) + self._reply_takes / max(1, ours.held)
        wait = min(ours.back_at - at, LATEST) * random.uniform(*SPREAD)
        return Unavailable(
            f"The model is busy, {ahead} ahead: try again in {math.ceil(wait)} s.",
            code="busy",
            retry_after=wait,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise _shutting_down()


class Place:
    """One request's place."""

    def __init__(self, admission: Admission, guild: str) -> None:
        self._admission = admission
        self._guild = guild

    @asynccontextmanager
    async def turn(self, tell: Tell) -> AsyncGenerator[None]:
        """Hold a slot of the engine. Who has to wait is told how many are ahead, at once and now and then.

        Raises `Unavailable` (`shutting_down`) when the process stops first.
        """
        joined = time.monotonic()
        got: float | None = None
        slot = self._admission.join(self._guild)
        try:
            while not slot.done():
                await tell(Waiting(code="queued", text=_told(self._admission.ahead(self._guild, slot))))
                await asyncio.wait({slot}, timeout=TELL_EVERY)
            if slot.cancelled():
                raise _shutting_down()
            got = time.monotonic()
            self._admission.waited(got - joined)
            yield
        finally:
            self._admission.leave(self._guild, slot, got and time.monotonic() - got)


def _told(ahead: int) -> str:
    return f"{ahead} ahead" if ahead else "next in line"


def _shutting_down() -> Unavailable:
    return Unavailable("This service is stopping. Ask again.", code="shutting_down", retry_after=0.2)
