"""One GPU and those who use it: an engine, children that train, and what must never be."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.training import Checkpoint, JobRecord
from chorus.common.errors import Conflict
from chorus.trainer.training.report import Trained
from tests.unit.gateway.fake_data import ref
from tests.unit.trainer.made import made


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock goes on to the next timer as soon as there is nothing to do: hours in a second."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0.0

    def time(self) -> float:
        return self._at

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._at = max(self._at, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass
class Gpu:
    """Who is on it."""

    users: set[str] = field(default_factory=set)
    clashes: list[str] = field(default_factory=list)
    """Who came while somebody was there."""

    def enter(self, who: str) -> None:
        if self.users:
            self.clashes.append(f"{who} comes while {self.users} are there")
        self.users.add(who)

    def leave(self, who: str) -> None:
        self.users.discard(who)


class Process:
    """Something that may be stopped and killed; where it goes through `running`, it is neither."""

    def __init__(self) -> None:
        self.dead = False
        self._awake = asyncio.Event()
        self._awake.set()

    @property
    def is_stopped(self) -> bool:
        return not self._awake.is_set()

    async def stopped_for(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT."""
        self._awake.clear()
        await asyncio.sleep(seconds)
        self._awake.set()

    async def running(self) -> None:
        await asyncio.sleep(0)
        while self.is_stopped and not self.dead:
            await self._awake.wait()
        if self.dead:
            raise asyncio.CancelledError


class Leases(Bucket[Lease]):
    """The bucket, in memory, as one process sees it."""

    def __init__(self, stored: dict[str, Entry[Lease]], process: Process) -> None:
        self._stored = stored
        self._process = process

    async def get(self, key: str) -> Entry[Lease] | None:
        await self._process.running()
        return self._stored.get(key)

    async def create(self, key: str, value: Lease) -> Entry[Lease]:
        await self._process.running()
        return self._write(key, value, None)

    async def update(self, old: Entry[Lease], value: Lease) -> Entry[Lease]:
        await self._process.running()
        return self._write(old.key, value, old)

    def _write(self, key: str, value: Lease, old: Entry[Lease] | None) -> Entry[Lease]:
        known = self._stored.get(key)
        if (known.revision if known else 0) != (old.revision if old else 0):
            raise Conflict("changed meanwhile")
        self._stored[key] = entry = Entry(key, value, (old.revision if old else 0) + 1)
        return entry


class AJournal:
    """Of a job that has learned for so many seconds."""

    def __init__(self, record: JobRecord) -> None:
        self.record = record
        self.stages: list[str] = []
        self.idles = 0

    @contextmanager
    def idle(self) -> Generator[None]:
        self.idles += 1
        yield

    async def stage(self, text: str) -> None:
        self.stages.append(text)

    def learned(self, step: int, at: datetime) -> None:
        checkpoint = Checkpoint(step=step, manifest=ref("manifest"), at=at)
        self.record = self.record.model_copy(update={"checkpoint": checkpoint})


class AnEngine:
    """In place of the host: it needs a while to finish what it writes, and to start."""

    def __init__(self, gpu: Gpu, name: str, *, drains: float = 0.0, starts: float = 0.0) -> None:
        self._gpu = gpu
        self._name = name
        self._drains = drains
        self._starts = starts
        self.asleep_until: datetime | None = None
        self.slept: list[datetime] = []
        self.is_ready = False

    async def sleep(self, until: datetime) -> None:
        self.asleep_until = until
        self.slept.append(until)
        self.is_ready = False
        if self._name in self._gpu.users:
            await asyncio.sleep(self._drains)
        self._gpu.leave(self._name)

    async def wake(self) -> None:
        self.asleep_until = None
        await self.start()

    async def start(self) -> None:
        """Its memory is taken from the first moment."""
        self._gpu.enter(self._name)
        await asyncio.sleep(self._starts)
        self.is_ready = True

    def die(self) -> None:
        self._gpu.leave(self._name)


def trained(step: int) -> Trained:
    return Trained(best=made(step=step), steps=step, seconds=1.0)


async def until(holds: Callable[[], Any], within: float = 20.0) -> Any:
    """Wait until this holds."""
    async with asyncio.timeout(within):
        while not (found := holds()):
            await asyncio.sleep(0.02)
    return found
