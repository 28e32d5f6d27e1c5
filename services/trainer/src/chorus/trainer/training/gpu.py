"""The GPU that a training runs on: its own, or one that it has in turn with inference.

    asked ─► granted ─► taken ─► the child, until the window ends ─► free        and again, until it is done

The lease in the bucket `leases` says whose turn it is (`contracts.leases`). It is looked at each second: no
message can be lost. At its window's end the child saves a checkpoint and ends, as it does for a pause; one
that does not, ends itself (`Order.until`), also when this process sleeps. The next window goes on from there.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from chorus.common.bus.calls import ask
from chorus.common.bus.claims import Claim
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.leases import RENEWED_EVERY, Lease
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.training import TrainJob
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, Conflict, InternalError, InvalidInput, NotFound, Unavailable
from chorus.common.patience import patiently
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Trained

LOOK_EVERY = 1.0  # seconds
LEAVES_WITHIN = 30.0  # seconds to save a checkpoint, at most a quarter of the window
OTHERS_FIRST = 3.0  # seconds: who had a window lets those ask who wait for one
ABSENT = 3  # looks, each `RENEWED_EVERY`, at which nobody serves: then nobody is asked
ABSENT_AFTER_A_CRASH = 60  # the same, where an engine was there: it is being started again, and loads
ALONE = timedelta(minutes=30)  # a window without inference, which may be started meanwhile
FRUITLESS = 3  # windows without a new checkpoint, then the job fails
ASKED_WITHIN, AWAKE_WITHIN = (
    5.0,
    900.0,
)  # seconds for an answer; for an engine to wake before a model is tried

WAITS = "waiting for the GPU, which answers questions meanwhile"
TOO_SHORT = (
    f"{FRUITLESS} turns on the shared GPU have ended before there was a checkpoint. The operator can raise "
    "CHORUS_TRAINING_WINDOW, or lower CHORUS_CHECKPOINT_EVERY."
)

Try = Callable[[asyncio.Event, datetime | None], Awaitable[Trained | None]]
"""Runs the child: until it has to save what it has, which the event says; it must be gone by then."""

log = structlog.get_logger()


class Gpu(Protocol):
    """What a training runs on."""

    async def train(self, journal: Journal, pause: asyncio.Event, attempt: Try) -> Trained | None:
        """Attempt it while the GPU is ours, as often as that takes; None when it was paused."""
        ...

    async def answers(self) -> None:
        """Wait until inference can be asked, as far as that is ours to wait for."""
        ...


class OwnGpu:
    """One that nobody else uses, or none."""

    async def train(self, journal: Journal, pause: asyncio.Event, attempt: Try) -> Trained | None:  # noqa: ARG002 - the port's
        """Attempt it once: there is nothing to wait for."""
        return await attempt(pause, None)

    async def answers(self) -> None:
        """It can be asked at any time."""


class SharedGpu:
    """One that inference uses, too."""

    def __init__(
        self,
        leases: Bucket[Lease],
        name: str,
        served: Callable[[], Awaitable[Served | None]],
        *,
        worker: str,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`served` asks inference how it is, and says None where nobody serves; `worker` names us."""
        self._leases = leases
        self._name = name
        self._served = served
        self._worker = worker
        self._clock = clock

    async def train(self, journal: Journal, pause: asyncio.Event, attempt: Try) -> Trained | None:
        """Attempt it in one window after the other, each from where the last one came to.

        Raises `InvalidInput` with code `window_too_short` where it gets no further.
        """
        fruitless = 0
        while fruitless < FRUITLESS:
            step = _step(journal)
            async with self._turn(journal, pause) as claim:
                if claim is None:
                    return None
                trained = await self._attempt(claim, pause, attempt)
            if trained is not None or pause.is_set():
                return trained
            fruitless = fruitless + 1 if _step(journal) == step else 0
            with journal.idle():
                await _is_set(pause, OTHERS_FIRST)
        raise InvalidInput(TOO_SHORT, code="window_too_short")

    async def answers(self) -> None:
        """Wait until the engine is awake, which it begins to be when the GPU was given back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAKE_WITHIN):
                while True:
                    with suppress(ChorusError):  # it is busy with waking
                        if (served := await self._served()) is None or served.state == "ready":
                            return
                    await asyncio.sleep(LOOK_EVERY)

    # --- 1. our turn -----------------------------------------------------------------------------
    @asynccontextmanager
    async def _turn(self, journal: Journal, pause: asyncio.Event) -> AsyncGenerator[Claim[Lease] | None]:
        """Have the GPU, and give it back; None where the job was paused before."""
        with journal.idle():
            await journal.stage(WAITS)
            claim = await self._take(journal.record.job, pause)
        if claim is None:
            yield None
            return
        try:
            yield claim
        finally:
            await self._give_back(claim)

    async def _take(self, job: TrainJob, pause: asyncio.Event) -> Claim[Lease] | None:
        """Ask for it until it is taken; None where the job is paused first."""
        while (claim := await self._ask(job, pause)) is not None:
            taken = False
            try:
                if await self._is_granted(claim, pause):
                    await claim.write(self._taken)
                    taken = True
                    return claim
            except (Conflict, NotFound):
                log.info("what was asked of the GPU is void; it is asked again")
            finally:
                if not taken:
                    await self._give_back(claim)
        return None

    async def _ask(self, job: TrainJob, pause: asyncio.Event) -> Claim[Lease] | None:
        """Ask as soon as nobody else does; None where the job is paused first."""
        while not pause.is_set():
            at = self._clock()
            entry = await patiently(self._leases.get)(self._name)
            asked = Lease(
                state="asked",
                job=job.job,
                guild=job.guild,
                worker=self._worker,
                at=at,
                served_by=entry.value.served_by if entry else None,
            )
            ours = partial(_same, asked)
            with suppress(Conflict):  # somebody was quicker
                if entry is None:
                    entry = await patiently(self._leases.create)(self._name, asked)
                    return Claim(self._leases, entry, ours)
                if entry.value.is_free(at) or ours(entry.value):  # what an outage left of ours
                    entry = await patiently(self._leases.update)(entry, asked)
                    return Claim(self._leases, entry, ours)
            await _is_set(pause, LOOK_EVERY)
        return None

    async def _is_granted(self, claim: Claim[Lease], pause: asyncio.Event) -> bool:
        """Wait until inference sleeps, or is not there at all; False where the job is paused first."""
        absent = 0
        while not await _is_set(pause, LOOK_EVERY):
            lease = await claim.refresh()
            if lease.is_held or absent >= (ABSENT_AFTER_A_CRASH if lease.served_by else ABSENT):
                return True
            if (self._clock() - lease.at).total_seconds() >= RENEWED_EVERY:
                await claim.write(self._renewed)
                absent = absent + 1 if await self._is_absent() else 0
        return False

    async def _is_absent(self) -> bool:
        with suppress(ChorusError):  # it is there, and has no time
            return await self._served() is None
        return False

    def _renewed(self, lease: Lease) -> Lease:
        return lease if lease.is_held else lease.model_copy(update={"at": self._clock()})

    def _taken(self, lease: Lease) -> Lease:
        at = self._clock()
        return lease.model_copy(update={"state": "taken", "at": at, "until": lease.until or at + ALONE})

    async def _give_back(self, claim: Claim[Lease]) -> None:
        try:
            await claim.write(lambda lease: lease.freed(self._clock()))
        except (Conflict, NotFound):
            log.info("the GPU was not ours any more")
        except Unavailable as error:  # it becomes free by itself when the window has ended
            log.warning("the GPU was not given back", reason=error.message)

    # --- 2. a window -----------------------------------------------------------------------------
    async def _attempt(self, claim: Claim[Lease], pause: asyncio.Event, attempt: Try) -> Trained | None:
        """Attempt it until the window ends."""
        until = claim.record.until
        assert until is not None
        log.info("GPU taken", until=until.isoformat())
        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(claim, until, pause, stop), name="watch the GPU's lease")
        try:
            return await attempt(stop, until)
        except InternalError:
            if self._clock() < until:
                raise
            return None  # the child has ended itself
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(
        self, claim: Claim[Lease], until: datetime, pause: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Have the child stop: when the job is paused, when its time is up, when the GPU is another's."""
        left = (until - self._clock()).total_seconds()
        try:
            async with asyncio.timeout(left - min(LEAVES_WITHIN, left / 4)):
                while not await _is_set(pause, LOOK_EVERY):
                    with suppress(Unavailable):  # the bus is away, and the window is ours all the same
                        await claim.refresh()
        except (Conflict, NotFound):
            log.warning("the GPU was taken away")
        except TimeoutError:
            log.info("the window on the GPU ends")
        finally:
            stop.set()


async def served_on(connection: Connection) -> Served | None:
    """How inference is; None where nobody serves. Raises `TimedOut` and what inference says is wrong."""
    try:
        return await ask(connection, SERVED, ListServed(guild=LOCAL), Served, within=ASKED_WITHIN)
    except Unavailable as error:
        if error.code != "no_responders":
            raise
        return None


def _step(journal: Journal) -> int:
    """How far the job's newest checkpoint is."""
    return journal.record.checkpoint.step if journal.record.checkpoint else 0


def _same(asked: Lease, lease: Lease) -> bool:
    """Whether the lease is still about what was asked."""
    return lease.state != "free" and (lease.job, lease.worker) == (asked.job, asked.worker)


async def _is_set(event: asyncio.Event, within: float) -> bool:
    """Wait so many seconds for an event; whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
    return event.is_set()
