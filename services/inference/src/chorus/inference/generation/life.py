"""The life of an engine: started, kept alive, put to sleep for a training, woken, ended.

    starting ─► ready ─► dead ─► starting ─► …          a dead one is followed by another, later and later
                ready ─► asleep ─► starting             while a training has the GPU

While there is none, requests wait for the next one for a minute; while it sleeps, they are refused at once,
and told until when.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import structlog

from chorus.common.contracts.generation import Waiting
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, Unavailable
from chorus.inference.generation.in_hand import InHand
from chorus.inference.generation.ports import RunningEngine, Tell
from chorus.inference.generation.waiting import told
from chorus.inference.metrics import InferenceMetrics

DIED = "engine_died"
"""The code with which an engine says that it is dead."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Patience:
    """How long is waited for what, in seconds."""

    first_delay: float = 0.5
    """Before a dead engine is followed by another; doubled with each death."""
    longest_delay: float = 30.0
    steady: float = 60.0
    """An engine that lived so long is followed after the first delay again."""
    deaths: int = 5
    """So many of them `within` so long, and it is given up; never, within no time at all."""
    within: float = 300.0
    look: float = 1.0
    """Between looks at an engine of which nothing is heard: vLLM offers nothing to wait for."""
    wait: float = 60.0
    """A request waits so long for an engine."""
    start: float = 20.0
    """A start takes about so long, until one has been measured."""
    grace: float = 20.0
    """What is being written may go on for so long, when the engine has to sleep."""


class Life:
    """Sees to it that there is an engine; `start` blocks until one runs, and is called in a thread."""

    window = 0
    max_rank = 0
    capacity = 0

    def __init__(
        self,
        start: Callable[[], RunningEngine],
        metrics: InferenceMetrics,
        *,
        sleep: Literal["engine", "weights"] = "engine",
        patience: Patience = Patience(),
    ) -> None:
        self._launch = start
        self._metrics = metrics
        self._sleep_of = sleep
        self._patience = patience
        self._on_start: list[Callable[[], None]] = []
        self._engine: RunningEngine | None = None
        self._starting: asyncio.Task[RunningEngine] | None = None
        self._since = 0.0  # when it was ready, on the monotonic clock
        self._took = patience.start
        self._until: datetime | None = None
        self._closed = False
        self._rests = False  # it sleeps in fact, and not only from now on
        self._in_hand = InHand()
        self._lost = asyncio.Event()  # it has died, or could not be started
        self._settled = asyncio.Event()  # nobody needs to wait: it answers, or refuses
        self._changing = asyncio.Lock()  # between starting, sleeping and waking

    # --- what it is like -------------------------------------------------------------------------
    @property
    def state(self) -> Literal["ready", "starting", "asleep"]:
        """In one word."""
        if self._until is not None:
            return "asleep"
        return "ready" if self._engine is not None and not self._lost.is_set() else "starting"

    @property
    def until(self) -> datetime | None:
        """When it wakes, while it sleeps."""
        return self._until

    @property
    def seconds(self) -> float:
        """How long the engine has been running."""
        return time.monotonic() - self._since if self._engine is not None else 0.0

    def wrong(self) -> str | None:
        """Why it cannot answer, if so, for the service's health. To sleep for a training is no fault."""
        if self._until is not None:
            return None
        if self._engine is None or self._lost.is_set():
            return "the engine is being started"
        return self._engine.wrong()

    def on_start(self, forget: Callable[[], None]) -> None:
        """Have this called when an engine is new, before anybody asks it: it holds no adapters."""
        self._on_start.append(forget)

    async def ready(self, tell: Tell) -> None:
        """Wait for an engine; whoever asked is told why. Raises `Unavailable` where there is none so soon."""
        await self._available(tell)

    # --- from its first day to its last ----------------------------------------------------------
    async def open(self) -> None:
        """Start the first engine, unless it is to sleep. Raises what `start` raises."""
        async with self._changing:
            if self._until is None:
                await self._start()

    async def keep(self) -> None:
        """Follow each engine that dies by another, for ever; raises `Unavailable` to give up."""
        patience, deaths = self._patience, deque[float](maxlen=self._patience.deaths)
        delay = patience.first_delay
        while True:
            lived = await self._until_lost()
            self._metrics.engine_died()
            deaths.append(time.monotonic())
            delay = patience.first_delay if lived >= patience.steady else delay
            if len(deaths) == patience.deaths and deaths[-1] - deaths[0] < patience.within:
                raise Unavailable(
                    f"The engine died {len(deaths)} times within {patience.within / 60:.0f} minutes. "
                    "It is not started again.",
                    code="gave_up",
                )
            log.warning("engine died", lived=round(lived, 1), again_in=delay)
            await asyncio.sleep(delay)
            delay = min(patience.longest_delay, 2 * delay)
            async with self._changing:
                if self._until is None and self._engine is None:  # else it was woken meanwhile
                    await self._go_on()

    async def sleep(self, until: datetime) -> None:
        """Refuse what is asked from now on, finish what is being written, give the accelerator back.

        What takes longer than `Patience.grace` is broken off: `engine_asleep`. One that sleeps already
        learns only until when.
        """
        self._until = until
        self._settled.set()
        if self._rests:
            return
        await self._in_hand.end(self._patience.grace, partial(asleep, until))
        async with self._changing:
            await self._rest()
            self._rests = True

    async def wake(self) -> None:
        """Answer again; returns once the engine is there, or has failed and is tried again in time."""
        async with self._changing:
            if self._until is not None:
                self._until, self._rests = None, False
                self._in_hand.go_on()
                self._settled.clear()
                await self._go_on()

    async def close(self) -> None:
        """End it; a start that is under way has to come to its end before."""
        self._closed = True
        self._settled.set()
        if self._starting is not None:
            (came,) = await asyncio.gather(self._starting, return_exceptions=True)
            if not isinstance(came, BaseException):
                self._engine = came
        await self._end()

    # --- for those who ask it --------------------------------------------------------------------
    async def _available(self, tell: Tell) -> RunningEngine:
        """The engine there is, or the next one. Raises `Unavailable` where there will be none so soon."""
        if not self._settled.is_set():
            took = f"{self._took:.0f} s"
            why = Waiting(code="starting", text=f"The engine is being started; that takes about {took}.")
            await told(self._until_settled(), tell, why)
        if self._closed:
            raise Unavailable("The engine has been ended. Ask again.", code=DIED, retry_after=1)
        if self._until is not None:
            raise asleep(self._until)
        if self._engine is None or not self._settled.is_set():
            raise Unavailable(
                f"The engine is being started. Try again in about {self._took:.0f} s.",
                code="engine_starting",
                retry_after=self._took,
            )
        return self._engine

    def _lose(self) -> None:
        """It is dead: `keep` sees to it at once, and who asks waits."""
        self._lost.set()
        if self._until is None and not self._closed:
            self._settled.clear()

    # --- inside ----------------------------------------------------------------------------------
    async def _until_settled(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.wait):
                while not self._settled.is_set():  # it may have died again before this task's turn
                    await self._settled.wait()

    async def _until_lost(self) -> float:
        """Wait for the engine's death, and end what is left of it; returns for how long it lived."""
        while not self._lost.is_set():
            if self._engine is not None and self._engine.wrong() is not None:
                self._lose()
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._patience.look)
        async with self._changing:
            lived = self.seconds
            await self._end()
        return lived

    async def _rest(self) -> None:
        """Give the accelerator back: an engine that cannot sleep ends, for a training comes in any case."""
        if self._sleep_of == "weights" and self._engine is not None and self._engine.wrong() is None:
            try:
                await self._engine.sleep()
                return
            except Exception:  # whatever a backend raises
                log.exception("engine does not sleep: it ends")
        await self._end()

    async def _end(self) -> None:
        engine, self._engine = self._engine, None
        self._lost.clear()
        if engine is not None:
            await asyncio.to_thread(engine.close)

    async def _go_on(self) -> None:
        """Wake it, or start it; if that fails, it is as if it had died at once."""
        if self._closed:
            return
        try:
            if self._engine is None:
                await self._start()
            else:
                await self._engine.wake()
                self._is_new()
        except ChorusError as error:
            log.warning("engine not started", reason=error.message)
            self._lose()
        except Exception:  # whatever a backend raises
            log.exception("engine not started")
            self._lose()

    async def _start(self) -> None:
        began = time.monotonic()
        self._starting = asyncio.create_task(asyncio.to_thread(self._launch), name="start the engine")
        engine = await asyncio.shield(self._starting)  # a thread cannot be stopped: see `close`
        self._engine, self._starting = engine, None
        self._since = time.monotonic()
        self._took = max(1.0, self._since - began)
        self._metrics.engine_started(self._since - began)
        self.window, self.max_rank, self.capacity = engine.window, engine.max_rank, engine.capacity
        self._is_new()

    def _is_new(self) -> None:
        self._lost.clear()  # an attempt before this one may have failed
        for forget in self._on_start:
            forget()
        self._settled.set()


def asleep(until: datetime) -> Unavailable:
    """The error for a question while a training has the accelerator."""
    return Unavailable(
        f"A training has the GPU until {until:%H:%M} UTC. Ask again then.",
        code="engine_asleep",
        retry_after=max(1.0, (until - now()).total_seconds()),
    )
