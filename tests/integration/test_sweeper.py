"""Entries and messages that a crash has parted are found, and put right once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
from nats.errors import TimeoutError as NatsTimeout

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.topology import JOBS, TRAIN
from chorus.common.contracts.training import JobRecord, JobState, TrainJob, job_subject
from chorus.common.contracts.wire import encode
from chorus.common.errors import Unavailable
from chorus.trainer.training.sweeper import Sweeper
from tests.support.queue import Orders, Script, a_worker, in_queue, ordering
from tests.support.servers import ACK_WAIT, Servers


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def sweeping(servers: Servers, clock: Clock) -> AsyncIterator[Sweeper]:
    async with servers.connected("trainer") as connection:
        jobs = await open_bucket(connection, JOBS, JobRecord)
        yield Sweeper(connection, jobs, every=1.0, ack_wait=ACK_WAIT, clock=clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sweeper(servers: Servers, clock: Clock) -> AsyncIterator[Sweeper]:
    async with sweeping(servers, clock) as sweeper:
        yield sweeper


@pytest.fixture
async def orders(servers: Servers) -> AsyncIterator[Orders]:
    async with ordering(servers) as orders:
        yield orders


async def twice(*sweepers: Sweeper, clock: Clock) -> None:
    """Two looks, as far apart as it takes."""
    for _ in range(2):
        for sweeper in sweepers:
            await sweeper.sweep()
        clock.now += 2 * ACK_WAIT


async def lose(servers: Servers, guild: str) -> None:
    async with servers.connected("trainer") as connection:
        for sequence in await in_queue(servers, guild):
            await connection.jetstream().delete_msg(TRAIN, sequence)


async def becomes(orders: Orders, job: TrainJob, state: JobState) -> JobRecord:
    key = f"{job.guild}.{job.job}"
    changed = await orders.bucket.change(key, lambda old: old.model_copy(update={"state": state}))
    return changed.value


async def test_a_job_whose_message_is_lost_is_found_and_finished(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    script = Script()
    job = await orders.submit(guild)
    await lose(servers, guild)
    await twice(sweeper, clock=clock)
    assert len(await in_queue(servers, guild)) == 1
    async with a_worker(servers, script):
        assert (await script.next()).job == job.job
        script.end(job)
        record = await orders.until(job, JobState.SUCCEEDED)
    assert record.published == 1
    told = await orders.jobs.logs(guild, job.job)
    assert (told[0].level, told[0].state) == ("warn", JobState.QUEUED)
    assert "queued again" in told[0].message


async def test_a_lost_message_of_a_worker_that_is_lost_too_is_published_again(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    job = await orders.submit(guild)
    await becomes(orders, job, JobState.RUNNING)
    await lose(servers, guild)
    await twice(sweeper, clock=clock)
    assert len(await in_queue(servers, guild)) == 1
    await orders.jobs.cancel(guild, job.job)
    await lose(servers, guild)


async def test_what_is_only_late_is_left_alone(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    """An entry that moves, one that was seen but once, and one with its message."""
    waiting = await orders.submit(guild)
    await twice(sweeper, clock=clock)
    assert (await orders.jobs.get(guild, waiting.job)).published == 0
    await lose(servers, guild)
    clock.now += 100
    await sweeper.sweep()
    clock.now += 2 * ACK_WAIT - 0.1
    await sweeper.sweep()
    assert (await orders.jobs.get(guild, waiting.job)).published == 0, "not for long enough"
    await becomes(orders, waiting, JobState.RUNNING)
    clock.now += 2 * ACK_WAIT
    await sweeper.sweep()
    assert (await orders.jobs.get(guild, waiting.job)).published == 0, "its worker lives"
    await becomes(orders, waiting, JobState.CANCELLED)


@pytest.mark.parametrize(
    ("asked", "settled"),
    [(JobState.PAUSING, JobState.PAUSED), (JobState.CANCELLING, JobState.CANCELLED)],
)
async def test_what_no_worker_will_let_go_of_is_let_go(
    servers: Servers,
    guild: str,
    orders: Orders,
    sweeper: Sweeper,
    clock: Clock,
    asked: JobState,
    settled: JobState,
) -> None:
    job = await orders.submit(guild)
    await lose(servers, guild)
    await becomes(orders, job, asked)
    await twice(sweeper, clock=clock)
    assert (await orders.jobs.get(guild, job.job)).state is settled
    assert await in_queue(servers, guild) == []
    assert [event.state for event in await orders.jobs.logs(guild, job.job)] == [settled]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.PAUSED])
async def test_a_message_without_a_use_frees_its_place(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock, state: JobState
) -> None:
    await becomes(orders, await orders.submit(guild), state)
    await twice(sweeper, clock=clock)
    assert await in_queue(servers, guild) == []


async def test_of_two_messages_of_a_job_the_older_one_goes(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    job = await orders.submit(guild)
    await orders.jobs.pause(guild, job.job)  # no worker is there to withdraw its message
    await orders.jobs.resume(guild, job.job)
    _, newer = await in_queue(servers, guild)
    await twice(sweeper, clock=clock)
    assert await in_queue(servers, guild) == [newer]
    await orders.jobs.cancel(guild, job.job)
    await lose(servers, guild)


async def test_several_sweepers_publish_it_once(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    job = await orders.submit(guild)
    await lose(servers, guild)
    async with sweeping(servers, clock) as another:
        await twice(sweeper, another, clock=clock)
    assert len(await in_queue(servers, guild)) == 1
    assert (await orders.jobs.get(guild, job.job)).published == 1
    await orders.jobs.cancel(guild, job.job)
    await lose(servers, guild)


async def test_a_guild_without_room_does_not_stop_it(
    servers: Servers, guild: str, orders: Orders, sweeper: Sweeper, clock: Clock
) -> None:
    """Three messages that nobody has an entry for, and a fourth job's was lost."""
    job = await orders.submit(guild)
    await lose(servers, guild)
    by_hand = encode(job.model_copy(update={"job": "handhandha"}))
    for _ in range(3):
        await orders.connection.jetstream().publish(job_subject(guild), by_hand)
    await twice(sweeper, clock=clock)
    assert (await orders.jobs.get(guild, job.job)).state is JobState.QUEUED
    await lose(servers, guild)
    await twice(sweeper, clock=clock)
    assert len(await in_queue(servers, guild)) == 1
    await orders.jobs.cancel(guild, job.job)
    await lose(servers, guild)


async def test_a_sweep_without_a_queue_fails_and_mends_nothing() -> None:
    class Away:
        def jetstream(self) -> Self:
            return self

        async def get_msg(self, *_: object, **__: object) -> None:
            raise NatsTimeout

    bucket: Any = None  # it is not even read
    connection: Any = Away()
    with pytest.raises(Unavailable) as raised:
        await Sweeper(connection, bucket, every=1, ack_wait=1).sweep()
    assert raised.value.code == "queue_unavailable"
