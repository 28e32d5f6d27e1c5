"""Inference's side of a GPU that a trainer uses, too: answers, and between them windows for training.

    look ─► asked, and answered for long enough ─► sleep ─► granted … taken … free ─► wake

    async with SharedGpu(…) as gpu:     before the engine starts: perhaps it has to start asleep
        await gpu.run()

The lease in the bucket `leases` says whose turn it is (`contracts.leases`). It is looked at each second:
nothing is lost when a message is, or when either side is started again.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError

LOOK_EVERY = 1.0  # seconds; waking takes longer

NEVER = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger()


class Sleeper(Protocol):
    """What has to give the GPU back: the engine's host."""

    async def sleep(self, until: datetime) -> None:
        """Refuse what is asked from now on, finish what is being written, give the memory back.

        One that sleeps already learns only until when.
        """
        ...

    async def wake(self) -> None:
        """Answer again."""
        ...


class SharedGpu:
    """Puts the engine to sleep when a training asks for its GPU, and wakes it again."""

    def __init__(
        self,
        leases: Bucket[Lease],
        name: str,
        host: Sleeper,
        *,
        instance: str,
        training_window: float,
        answering_window: float,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Windows are in seconds: how long a training has it at most, and how long answers have at least.

        `instance` names this process.
        """
        self._leases = leases
        self._name = name
        self._host = host
        self._instance = instance
        self._training_window = timedelta(seconds=training_window)
        self._answering_window = timedelta(seconds=answering_window)
        self._clock = clock
        self._until: datetime | None = None  # it sleeps
        self._awake_since = NEVER

    async def __aenter__(self) -> Self:
        """Say that there will be an engine, and put it to sleep where it is not its turn.

        Raises `Unavailable` where the bus does not answer.
        """
        await self._is_served_by(self._instance)
        await self.look()
        return self

    async def __aexit__(self, *_: object) -> None:
        """The engine has ended: a training needs to wait for nobody."""
        with suppress(ChorusError):  # then it waits for a while
            await self._is_served_by(None)

    async def _is_served_by(self, instance: str | None) -> None:
        def marked(lease: Lease) -> Lease:
            if instance is None and lease.served_by != self._instance:
                return lease  # another process has come in our place
            return lease.model_copy(update={"served_by": instance})

        await self._leases.change(self._name, marked, initial=Lease(at=self._clock()))

    async def run(self) -> None:
        """Look, for ever; while the bus is away, everything stays as it is."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except ChorusError as error:
                log.warning("whose turn it is on the GPU is not known", code=error.code, reason=error.message)

    async def look(self) -> None:
        """See whose turn it is, and do what follows. Raises `Unavailable` where the bus does not answer."""
        entry = await self._leases.get(self._name)
        lease, at = entry.value if entry else None, self._clock()
        if lease is not None and lease.is_held and lease.is_free(at):
            lease = (await self._leases.change(self._name, self._taken_back)).value
        if lease is not None and lease.is_held:
            await self._sleep(lease.until or at)
        elif self._until is not None:
            await self._wake()
        elif lease is not None and not lease.is_free(at) and at >= self._awake_since + self._answering_window:
            await self._hand_over()

    def _taken_back(self, lease: Lease) -> Lease:
        """From then on, a trainer that has slept cannot take it, or believe that it has it."""
        at = self._clock()
        if not (lease.is_held and lease.is_free(at)):
            return lease
        log.warning("a training left the GPU behind", job=lease.job, worker=lease.worker, state=lease.state)
        return lease.freed(at)

    async def _hand_over(self) -> None:
        """The window begins when the engine sleeps: what it writes until then costs the training nothing."""
        await self._sleep(self._clock() + self._training_window)

        def granted(lease: Lease) -> Lease:
            at = self._clock()
            if lease.state != "asked" or lease.is_free(at):
                return lease  # nobody wants it any more: the next look wakes the engine
            until = at + self._training_window
            return lease.model_copy(update={"state": "granted", "at": at, "until": until})

        lease = (await self._leases.change(self._name, granted)).value
        log.info("GPU handed over", state=lease.state, job=lease.job, until=str(lease.until))

    async def _sleep(self, until: datetime) -> None:
        if until != self._until:
            await self._host.sleep(until)
            self._until = until

    async def _wake(self) -> None:
        await self._host.wake()
        self._until = None
        self._awake_since = self._clock()
        log.info("the GPU is ours again")
