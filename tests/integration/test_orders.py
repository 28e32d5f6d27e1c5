"""What an operator does with one command of the NATS CLI: each request here is what that command sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.responder import Responder
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.topology import DLQ, JOBS, JOBS_PER_GUILD, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import (
    ORDER,
    Committed,
    JobError,
    JobRecord,
    JobState,
    Order,
    TrainJob,
    job_key,
)
from chorus.common.contracts.wire import encode
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import PREFIX
from chorus.trainer.training.orders import Orders as Answering
from chorus.trainer.training.queue import withdraw
from tests.support.queue import Orders, Script, a_worker, in_queue, ordering
from tests.support.servers import Servers
from tests.unit.gateway.fake_data import ref

PAUSE = f"$JS.API.CONSUMER.PAUSE.{TRAIN}.{TRAINER_CONSUMER}"


@pytest.fixture(scope="module", autouse=True)
async def _answering(servers: Servers) -> AsyncIterator[None]:
    """The trainer's role that keeps data, as far as it takes orders."""
    async with servers.connected("trainer") as connection:
        orders = Answering(connection, await open_bucket(connection, JOBS, JobRecord))

        def declare(responder: Responder) -> None:
            responder.answer("order", ORDER, Order, orders.carry_out)

        async with servers.serving("trainer", declare):
            yield


@pytest.fixture(autouse=True)
async def _nobody_elses_jobs(servers: Servers) -> None:
    """Whose turn it is depends on all that waits."""
    async with servers.connected("provisioner") as connection:
        for stream in (TRAIN, f"KV_{JOBS}"):
            await connection.jetstream().purge_stream(stream)


@pytest.fixture
async def orders(servers: Servers) -> AsyncIterator[Orders]:
    async with ordering(servers) as end:
        yield end


async def order(operator: Connection, job: TrainJob, action: str) -> tuple[dict[str, Any], dict[str, str]]:
    """`nats request train.v1.order '{…}'`: the body and the headers that it prints."""
    body = json.dumps({"guild": job.guild, "job": job.job, "action": action}).encode()
    answer = await operator.request(ORDER, body)
    return json.loads(answer.data or b"{}"), answer.headers or {}


async def given_up(
    servers: Servers, orders: Orders, guild: str, code: str = "gave_up", **changes: object
) -> TrainJob:
    """A job that has killed its workers, as the trainer leaves it: a failed entry, and a dead letter."""
    job = await orders.submit(guild)
    error = JobError(code=code, message="3 attempts failed, and it was given up.")
    async with servers.connected("trainer") as trainer:
        await withdraw(trainer, await orders.jobs.get(job.guild, job.job))
        await trainer.jetstream().publish(
            f"dlq.train.{guild}", encode(job), headers={"X-Dlq-Reason": "the worker was lost"}
        )
    failed = {"state": JobState.FAILED, "attempt": 3, "claims": 3, "error": error, **changes}
    await orders.bucket.change(job_key(guild, job.job), lambda old: old.model_copy(update=failed))
    return job


async def test_a_dead_letter_is_replayed_and_the_job_succeeds(
    servers: Servers, orders: Orders, operator: Connection, guild: str
) -> None:
    job = await given_up(servers, orders, guild)
    letter = await operator.jetstream().get_msg(DLQ, subject=f"dlq.train.{guild}")
    named = json.loads(letter.data or b"")
    assert (named["guild"], named["job"]) == (job.guild, job.job), "the letter says what to name"
    record, _ = await order(operator, job, "retry")
    assert (record["state"], record["attempt"], record.get("error")) == ("queued", 0, None)
    script = Script()
    async with a_worker(servers, script):
        assert (await script.next()).job == job.job
        script.end(job)
        await orders.until(job, JobState.SUCCEEDED)


@pytest.mark.parametrize(
    ("code", "is_kept"), [("gave_up", True), ("object_corrupt", False), ("no_object", False)]
)
async def test_a_model_that_was_committed_is_published_and_not_trained_again_unless_it_is_damaged(
    servers: Servers, orders: Orders, operator: Connection, guild: str, code: str, is_kept: bool
) -> None:
    stored = Committed(manifest=ref("manifest.json"), steps=9, seconds=3, promote=True)
    job = await given_up(servers, orders, guild, code, committed=stored, seconds=3.0)
    await order(operator, job, "retry")
    record = await orders.jobs.get(job.guild, job.job)
    assert (record.committed, record.seconds) == ((stored, 3.0) if is_kept else (None, 0.0))
    assert (record.state, record.attempt, record.claims, record.error) == (JobState.QUEUED, 0, 3, None)


async def test_what_has_not_failed_is_not_tried_again(
    orders: Orders, operator: Connection, guild: str
) -> None:
    job = await orders.submit(guild)
    _, headers = await order(operator, job, "retry")
    assert headers[h.ERROR_CODE] == "not_failed"
    _, headers = await order(operator, job.model_copy(update={"job": "a" * 10}), "retry")
    assert headers[h.ERROR_CODE] == "unknown_job"


async def test_one_that_finds_the_queue_full_has_failed_as_before(
    servers: Servers, orders: Orders, operator: Connection, guild: str
) -> None:
    job = await given_up(servers, orders, guild)
    for _ in range(JOBS_PER_GUILD):
        await orders.submit(guild)
    _, headers = await order(operator, job, "retry")
    assert headers[h.ERROR_CODE] == "queue_full"
    record = await orders.jobs.get(job.guild, job.job)
    assert (record.state, record.error and record.error.code) == (JobState.FAILED, "gave_up")


async def test_a_waiting_job_is_cancelled_and_its_place_is_free(
    servers: Servers, orders: Orders, operator: Connection, guild: str
) -> None:
    job = await orders.submit(guild)
    record, _ = await order(operator, job, "cancel")
    assert record["state"] == "cancelled"
    assert await in_queue(servers, guild) == []
    _, headers = await order(operator, job, "cancel")
    assert headers[h.ERROR_CODE] == "job_ended"


async def test_a_running_job_is_cancelled(
    servers: Servers, orders: Orders, operator: Connection, guild: str
) -> None:
    script = Script()
    async with a_worker(servers, script):
        job = await orders.submit(guild)
        await script.next()
        record, _ = await order(operator, job, "cancel")
        assert record["state"] == "cancelling"
        # `nats publish train.control.<job>`: the worker looks at once, and not only some seconds later.
        word = json.dumps({"guild": guild, "action": "cancel"}).encode()
        await operator.publish(f"train.control.{job.job}", word)
        await orders.until(job, JobState.CANCELLED)


async def test_the_queue_stands_still_until_it_is_resumed(
    servers: Servers, orders: Orders, operator: Connection, guild: str
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    paused = json.loads((await operator.request(PAUSE, json.dumps({"pause_until": until}).encode())).data)
    assert paused["paused"] is True
    try:
        job = await orders.submit(guild)
        script = Script()
        async with a_worker(servers, script):
            await provision(provisioning(servers))  # an upgrade meanwhile
            info = await operator.jetstream().consumer_info(TRAIN, TRAINER_CONSUMER)
            assert info.num_waiting, "the worker asks, and is given nothing"
            assert script.begun.empty()
            assert (await orders.jobs.get(job.guild, job.job)).state is JobState.QUEUED
            resumed = json.loads((await operator.request(PAUSE, b"")).data)
            assert resumed.get("paused") is not True
            assert (await script.next()).job == job.job
            script.end(job)
            await orders.until(job, JobState.SUCCEEDED)
    finally:
        await operator.request(PAUSE, b"")


def provisioning(servers: Servers) -> ProvisionSettings:
    given = servers.stack.environment("provisioner")
    return ProvisionSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})


async def test_dead_letters_are_purged_and_nothing_else(operator: Connection, servers: Servers) -> None:
    async with servers.connected("trainer") as trainer:
        await trainer.jetstream().publish("dlq.train.1", b"{}")
    answer = json.loads((await operator.request(f"$JS.API.STREAM.PURGE.{DLQ}", b"")).data)
    assert answer["success"] is True
    assert (await operator.jetstream().stream_info(DLQ)).state.messages == 0


async def test_events_of_a_job_are_heard(orders: Orders, operator: Connection, guild: str) -> None:
    """`nats sub 'changed.jobs.<guild>.*'` shows each state of a job, with nothing created for it."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:
        await heard.put(json.loads(message.data)["state"])

    await operator.listen(f"changed.jobs.{guild}.*", cb=hear)
    job = await orders.submit(guild)
    await orders.jobs.cancel(guild, job.job)
    assert [await asyncio.wait_for(heard.get(), 5) for _ in range(2)] == ["queued", "cancelled"]
