"""What the gateway orders of jobs: checked, queued, paused, resumed, cancelled, and what was said of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import JOBS, JOBS_PER_GUILD, MODELS
from chorus.common.contracts.training import (
    CHECK,
    CheckTraining,
    Committed,
    EventData,
    JobEvent,
    JobRecord,
    JobState,
    Progress,
    TrainJob,
    event_subject,
)
from chorus.common.contracts.wire import encode
from chorus.common.errors import Conflict, InvalidInput, NotFound, QueueFull, Unavailable
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.trainer.handlers import CheckHandlers
from chorus.trainer.training.checking import Offer
from tests.support.queue import RESULT, Orders, in_queue, ordering
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import card, dataset, ref

OFFER = Offer(bases={"starter": "starter"}, max_rank=32, guild_seconds_per_day=60, gpu=False)


@pytest.fixture
async def orders(servers: Servers) -> AsyncIterator[Orders]:
    async with ordering(servers) as orders:
        yield orders


@asynccontextmanager
async def checking(servers: Servers) -> AsyncIterator[None]:
    """A trainer that answers `train.v1.check`."""
    async with servers.connected("trainer") as connection:
        jobs = await open_bucket(connection, JOBS, JobRecord)
        models = await open_bucket(connection, MODELS, ModelRecord)
        handlers = CheckHandlers(OFFER, jobs, models, servers.store())
        identity = Identity("trainer", "check1", "1.0.0", "For tests")
        metrics = RequestMetrics(CollectorRegistry())
        responder = Responder(connection, identity, metrics, slots=2, backlog=8, grace=1)
        responder.answer("check", CHECK, CheckTraining, handlers.check)
        async with responder:
            yield


async def changed(orders: Orders, job: TrainJob, **changes: object) -> None:
    await orders.bucket.change(f"{job.guild}.{job.job}", lambda old: old.model_copy(update=changes))


async def freed(orders: Orders, servers: Servers, guild: str) -> None:
    """Take the guild's messages away again: the queue is everybody's."""
    async with servers.connected("trainer") as connection:
        for sequence in await in_queue(servers, guild):
            await connection.jetstream().delete_msg("TRAIN", sequence)


# --- checked --------------------------------------------------------------------------------------
async def test_everything_that_is_wrong_is_said_before_anything_is_queued(
    servers: Servers, guild: str, orders: Orders
) -> None:
    async with checking(servers):
        with pytest.raises(InvalidInput) as refused:
            await orders.submit(guild, method="qlora", rank=64, max_cost=1)
    assert (refused.value.code, refused.value.param) == ("qlora_needs_gpu", "method")
    assert len(refused.value.message.splitlines()) == 3
    assert await orders.jobs.recent(guild) == []
    assert await in_queue(servers, guild) == []


async def test_what_it_will_take_is_in_its_entry(servers: Servers, guild: str, orders: Orders) -> None:
    data = [dataset(guild=guild, card=card(examples=100, positive=90, tokens=3000)) for _ in range(2)]
    async with checking(servers):
        checked = await orders.jobs.check(data, Hyperparameters(epochs=2))
        assert checked.estimate is not None
        assert checked.estimate.tokens == 2 * 2 * 3000
        job = await orders.submit(guild)
        assert (await orders.jobs.get(guild, job.job)).estimate is not None
    await freed(orders, servers, guild)


async def test_a_quota_that_is_used_up_refuses_the_next_job(
    servers: Servers, guild: str, orders: Orders
) -> None:
    async with checking(servers):
        job = await orders.submit(guild, key="first")
        await changed(orders, job, state=JobState.SUCCEEDED, seconds=61.0)
        with pytest.raises(InvalidInput) as refused:
            await orders.submit(guild)
        assert refused.value.code == "quota_used_up"
        assert (await orders.submit(guild, key="first")).job == job.job, "the same job is no new one"
    await freed(orders, servers, guild)


async def test_without_a_trainer_nothing_is_checked_and_the_job_waits(
    servers: Servers, guild: str, orders: Orders
) -> None:
    with pytest.raises(Unavailable):
        await orders.jobs.check([dataset(guild=guild)], Hyperparameters())
    await orders.submit(guild, rank=64)
    assert len(await in_queue(servers, guild)) == 1
    await freed(orders, servers, guild)


@pytest.mark.parametrize("count", [0, 21])
async def test_a_job_learns_from_some_datasets_and_not_from_too_many(
    orders: Orders, guild: str, count: int
) -> None:
    with pytest.raises(InvalidInput, match="1 to 20") as refused:
        await orders.jobs.check([dataset(guild=guild)] * count, Hyperparameters())
    assert (refused.value.code, refused.value.param) == ("how_many_datasets", "data")


# --- paused and resumed ---------------------------------------------------------------------------
async def test_a_paused_job_is_queued_again_under_another_id(
    servers: Servers, guild: str, orders: Orders
) -> None:
    job = await orders.submit(guild)
    assert (await orders.jobs.pause(guild, job.job)).state is JobState.PAUSED
    await freed(orders, servers, guild)
    record = await orders.jobs.resume(guild, job.job)
    assert (record.state, record.message_id) == (JobState.QUEUED, f"{guild}.{job.job}.1")
    assert len(await in_queue(servers, guild)) == 1, "NATS took it for a new message"
    with pytest.raises(Conflict) as again:
        await orders.jobs.resume(guild, job.job)
    assert again.value.code == "not_paused"
    await freed(orders, servers, guild)


async def test_who_keeps_the_old_model_is_noted_once_there_is_a_new_one(
    servers: Servers, guild: str, orders: Orders
) -> None:
    job = await orders.submit(guild)
    await freed(orders, servers, guild)
    with pytest.raises(Conflict) as refused:
        await orders.jobs.decline(guild, job.job, "42")
    assert refused.value.code == "no_model"
    await changed(orders, job, state=JobState.SUCCEEDED, result=RESULT)
    await orders.jobs.decline(guild, job.job, "42")
    left = await orders.jobs.get(guild, job.job)
    assert (left.state, left.declined_by) == (JobState.SUCCEEDED, "42")
    await changed(orders, job, result=RESULT.model_copy(update={"in_use": True}))
    with pytest.raises(Conflict) as refused:
        await orders.jobs.decline(guild, job.job, "42")
    assert refused.value.code == "answers_already"


async def test_a_job_that_finds_no_place_stays_paused(servers: Servers, guild: str, orders: Orders) -> None:
    job = await orders.submit(guild)
    await orders.jobs.pause(guild, job.job)
    await freed(orders, servers, guild)
    for _ in range(JOBS_PER_GUILD):
        await orders.submit(guild)
    with pytest.raises(QueueFull):
        await orders.jobs.resume(guild, job.job)
    record = await orders.jobs.get(guild, job.job)
    assert record.state is JobState.PAUSED
    assert record.stage is not None
    assert "wait or run here already" in record.stage
    await freed(orders, servers, guild)


COMMITTED = Committed(manifest=ref("main"), steps=1, seconds=1, promote=False)


@pytest.mark.parametrize(
    ("changes", "action", "code"),
    [
        ({"state": JobState.RUNNING, "committed": COMMITTED}, "pause", "too_late"),
        ({"state": JobState.RUNNING, "committed": COMMITTED}, "cancel", "too_late"),
        ({"state": JobState.CANCELLING}, "pause", "too_late"),
        ({"state": JobState.SUCCEEDED}, "pause", "job_ended"),
        ({"state": JobState.FAILED}, "cancel", "job_ended"),
        ({"state": JobState.CANCELLED}, "resume", "job_ended"),
        ({"state": JobState.PAUSED}, "pause", "already_paused"),
        ({"state": JobState.PAUSING}, "pause", "already_paused"),
        ({"state": JobState.PAUSING}, "resume", "not_paused"),
        ({"state": JobState.RUNNING}, "resume", "not_paused"),
    ],
)
async def test_what_cannot_be_done_to_a_job_is_said(
    servers: Servers, guild: str, orders: Orders, changes: dict[str, object], action: str, code: str
) -> None:
    job = await orders.submit(guild)
    await freed(orders, servers, guild)
    await changed(orders, job, **changes)
    with pytest.raises(Conflict) as refused:
        await getattr(orders.jobs, action)(guild, job.job)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("state", "action", "becomes"),
    [
        (JobState.RUNNING, "pause", JobState.PAUSING),
        (JobState.PAUSING, "cancel", JobState.CANCELLING),
        (JobState.PAUSED, "cancel", JobState.CANCELLED),
        (JobState.QUEUED, "cancel", JobState.CANCELLED),
    ],
)
async def test_what_a_worker_has_in_hand_it_is_asked_to_let_go_of(
    servers: Servers, guild: str, orders: Orders, state: JobState, action: str, becomes: JobState
) -> None:
    job = await orders.submit(guild)
    await freed(orders, servers, guild)
    await changed(orders, job, state=state)
    assert (await getattr(orders.jobs, action)(guild, job.job)).state is becomes


async def test_of_an_unknown_job_nothing_is_done(guild: str, orders: Orders) -> None:
    for action in (orders.jobs.pause, orders.jobs.resume, orders.jobs.cancel, orders.jobs.logs):
        with pytest.raises(NotFound):
            await action(guild, "aaaaaaaaaa")


# --- what was said --------------------------------------------------------------------------------
async def test_the_log_is_what_was_said_to_people_in_its_order(
    servers: Servers, guild: str, orders: Orders
) -> None:
    job, other = await orders.submit(guild), await orders.submit(guild)

    async with servers.connected("trainer") as trainer:

        async def tell(job: TrainJob, text: str, data: EventData | None = None) -> None:
            event = JobEvent(
                type="metrics" if data else "message",
                message=text,
                data=data or EventData(),
                guild=guild,
                job=job.job,
                state=JobState.RUNNING,
            )
            subject = event_subject(guild, job.job, event.type)
            await trainer.jetstream().publish(subject, encode(event))

        assert await orders.jobs.logs(guild, job.job) == []
        await tell(job, "one")
        await tell(job, "", EventData(progress=Progress(step=1, steps=2)))
        await tell(other, "of another job")
        await tell(job, "two")
    assert [event.message for event in await orders.jobs.logs(guild, job.job)] == ["one", "two"]
    await freed(orders, servers, guild)
