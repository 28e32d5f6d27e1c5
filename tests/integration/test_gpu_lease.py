"""One GPU for training and for answering, over a real nats-server; engine and children are doubles."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from nats.aio.msg import Msg

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts import leases as contract
from chorus.common.contracts.generation import SERVED, Served
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.topology import LEASES
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.contracts.wire import encode, now
from chorus.gateway.backends.gpu import ALMOST_A_MINUTE, AWAY, BACK, gpu_news
from chorus.inference.generation import lease as answering
from chorus.trainer.training import gpu as training
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Trained
from tests.support.gpu import AJournal, AnEngine, Gpu, trained, until
from tests.support.servers import Servers
from tests.support.training import ENDLESS, a_gateway, a_trainer, learned_steps
from tests.unit.trainer.made import AT, BASE, a_job

WINDOW = 1.2  # seconds
READY = Served(instance="x", base=BASE, state="ready", resident=0, capacity=1, models=[])


class Place:
    """A GPU under a name of its own, its engine, and a bucket as each side sees it."""

    def __init__(self, servers: Servers, name: str, inference: Connection, trainer: Connection) -> None:
        self.servers = servers
        self.name = name
        self.gpu = Gpu()
        self.engine = AnEngine(self.gpu, "the engine")
        self.inference = inference
        self.trainer = trainer
        self.pause = asyncio.Event()

    async def leases(self) -> Bucket[Lease]:
        return await open_bucket(self.trainer, LEASES, Lease)

    async def lease(self) -> Lease:
        entry = await (await self.leases()).get(self.name)
        return entry.value if entry else Lease(at=now())

    async def until(self, holds: Callable[[Lease], object]) -> Lease:
        async with asyncio.timeout(20):
            while not holds(lease := await self.lease()):
                await asyncio.sleep(0.02)
        return lease

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[list[tuple[str, bool]]]:
        """What people are told."""
        news: list[tuple[str, bool]] = []

        async def listen(connection: Connection) -> None:
            async for said in gpu_news(await open_bucket(connection, LEASES, Lease)):
                news.append(said)

        async with self.servers.connected("gateway") as connection:
            task = asyncio.create_task(listen(connection))
            try:
                yield news
            finally:
                task.cancel()
                await asyncio.wait({task})

    @asynccontextmanager
    async def answers(self, training_window: float = WINDOW) -> AsyncIterator[None]:
        """Inference, as its `app.py` puts it together."""
        shared = answering.SharedGpu(
            await open_bucket(self.inference, LEASES, Lease),
            self.name,
            self.engine,
            instance="inference 1",
            training_window=training_window,
            answering_window=0.2,
        )
        async with shared:
            if self.engine.asleep_until is None:
                await self.engine.start()
            running = asyncio.create_task(shared.run())
            try:
                yield
            finally:
                running.cancel()
                await asyncio.wait({running})
                self.engine.die()

    @asynccontextmanager
    async def in_training(self, journal: AJournal, steps: int) -> AsyncIterator[asyncio.Task[Trained | None]]:
        """The same, while something else happens."""
        task = asyncio.create_task(self.train(journal, steps))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def train(self, journal: AJournal, steps: int) -> Trained | None:
        """A trainer, whose child needs a twentieth of a second for a step."""
        shared = training.SharedGpu(
            await self.leases(), self.name, partial(training.served_on, self.trainer), worker="trainer 1"
        )

        async def attempt(stop: asyncio.Event, until: datetime | None) -> Trained | None:
            assert until is not None
            step = journal.record.checkpoint.step if journal.record.checkpoint else 0
            self.gpu.enter(journal.record.job.job)
            try:
                while step < steps and not stop.is_set():
                    await asyncio.sleep(0.05)
                    step += 1
            finally:
                self.gpu.leave(journal.record.job.job)
            journal.learned(step, now())
            return trained(step) if step >= steps else None

        return await shared.train(cast(Journal, journal), self.pause, attempt)


@pytest.fixture
async def place(servers: Servers, guild: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(answering, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(training, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(training, "OTHERS_FIRST", 0.0)
    monkeypatch.setattr(training, "RENEWED_EVERY", 0.05)
    monkeypatch.setattr(contract, "MARGIN", timedelta(seconds=1))
    async with servers.connected("inference") as inference, servers.connected("trainer") as trainer:
        place = Place(servers, f"gpu-{guild}", inference, trainer)
        yield place
        assert not place.gpu.clashes


def journal() -> AJournal:
    return AJournal(JobRecord(state=JobState.RUNNING, job=a_job(), updated_at=AT))


async def test_a_training_goes_on_from_window_to_window_and_answers_come_between(place: Place) -> None:
    done = journal()
    async with place.answers(), place.gateway() as news:
        assert (await place.train(done, steps=24)) == trained(24)
        lease = await place.until(lambda lease: lease.state == "free")
        await place.until(lambda _: place.engine.is_ready)
        await until(lambda: (BACK, True) in news)
    assert {text for text, back in news if not back} >= {
        AWAY.format(until=end + ALMOST_A_MINUTE) for end in place.engine.slept[1:2]
    }, "the first was told before the window began"
    assert max(place.engine.slept) - min(place.engine.slept) > timedelta(seconds=WINDOW / 2), "two windows"
    assert (lease.job, lease.served_by) == (done.record.job.job, "inference 1")
    assert (await place.lease()).served_by is None, "it has stopped in order"


async def test_where_nobody_serves_nobody_is_asked_and_who_starts_meanwhile_sleeps(place: Place) -> None:
    async with place.in_training(journal(), steps=10_000) as job:
        held = await place.until(lambda lease: lease.state == "taken")
        async with place.answers():
            assert place.engine.asleep_until == held.until
            place.pause.set()
            assert await job is None
            await place.until(lambda _: place.engine.is_ready)


async def test_a_job_that_is_paused_or_ended_while_it_waits_asks_for_nothing_more(place: Place) -> None:
    async def say(message: Msg) -> None:
        await message.respond(encode(READY))

    await place.inference.subscribe(SERVED, queue="q", cb=say)  # it is there, and does not look
    await place.inference.flush()
    async with place.in_training(journal(), steps=1) as job:
        first = await place.until(lambda lease: lease.state == "asked")
        await place.until(lambda lease: lease.at > first.at)
        place.pause.set()
        assert await job is None
        assert (await place.lease()).state == "free"
    place.pause.clear()
    async with place.in_training(journal(), steps=1):
        await place.until(lambda lease: lease.state == "asked")
    assert (await place.lease()).state == "free"


async def test_a_training_stops_when_an_operator_frees_its_gpu(place: Place) -> None:
    stopped = journal()
    async with place.in_training(stopped, steps=10_000):
        await place.until(lambda lease: lease.state == "taken")
        await (await place.leases()).change(place.name, lambda lease: lease.freed(now()))
        await place.until(lambda lease: lease.state == "asked")
        assert stopped.record.checkpoint is not None, "it has saved what it had"


async def test_a_killed_trainer_keeps_the_gpu_until_its_window_ends_and_no_longer(place: Place) -> None:
    environment = place.servers.stack.environment("trainer")
    async with place.answers(training_window=2.5):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.a_trainer", place.name), env=environment
        )
        held = await place.until(lambda lease: lease.state == "taken")
        process.kill()
        await process.wait()
        assert held.until is not None
        assert not place.engine.is_ready
        await place.until(lambda _: place.engine.is_ready)
        assert now() >= held.until
        assert (await place.lease()).state == "free"


@pytest.mark.slow
async def test_a_real_training_goes_on_from_its_checkpoints_and_loses_no_step(
    place: Place, servers: Servers, guild: str, tmp_path: Path
) -> None:
    environment = {"CHORUS_SHARED_GPU": place.name, "CHORUS_CHECKPOINT_EVERY": "3600"}
    leases = await place.leases()

    async def grant() -> None:
        await place.until(lambda lease: lease.state == "asked")
        window = {"state": "granted", "at": now(), "until": now() + timedelta(minutes=10)}
        await leases.change(place.name, lambda lease: lease.model_copy(update=window))

    async with a_trainer(servers, tmp_path, **environment), a_gateway(servers, guild) as gateway:
        job = await gateway.submit(ENDLESS, epochs=300)
        await grant()
        await gateway.until(job, learning=True)
        await leases.change(place.name, lambda lease: lease.freed(now()))
        await gateway.until(job, stage=training.WAITS)
        await grant()
        done = await gateway.until(job, JobState.SUCCEEDED)
        assert (await place.lease()).state == "free"
        log = await gateway.log(job)
    assert done.result is not None
    assert any(line.startswith("going on from step ") for line in log)
    assert await learned_steps(servers.store(), done) == list(range(1, done.result.steps + 1))
