"""The trainer on real servers: from a job in the queue to a published adapter, whatever dies on the way."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.models import MANIFEST, Manifest
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.topology import JOBS, JOBS_PER_GUILD
from chorus.common.contracts.training import (
    Committed,
    Hyperparameters,
    JobRecord,
    JobState,
    TrainJob,
    job_subject,
)
from chorus.common.contracts.wire import decode, encode, now
from chorus.common.errors import Conflict, NotFound, QueueFull
from chorus.common.local.process import Process
from tests.support.chorus import session_pids, still_running
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_gateway, a_trainer


@pytest.fixture
async def gateway(servers: Servers, guild: str) -> AsyncIterator[Gateway]:
    async with a_gateway(servers, guild) as gateway:
        yield gateway


@pytest.fixture
async def trainer(servers: Servers, tmp_path: Path) -> AsyncIterator[Process]:
    """The trainer, as a process of its own."""
    async with a_trainer(servers, tmp_path) as process:
        yield process


async def test_a_job_becomes_a_model(gateway: Gateway, trainer: Process, servers: Servers) -> None:
    job = await gateway.submit()
    states = []
    async with aclosing(gateway.jobs.follow(gateway.guild, job.job.job)) as records:
        async for record in records:
            states.append((record.state, record.stage))
    assert job.state is JobState.QUEUED
    assert states[-1][0] is JobState.SUCCEEDED
    assert [stage for _, stage in states if stage in ("learning", "publishing")][-1] == "publishing"

    done = await gateway.jobs.get(gateway.guild, job.job.job)
    assert done.state is JobState.SUCCEEDED
    assert done.result is not None
    assert done.result.model == "main@1"
    assert done.result.in_use, "a guild's first model answers at once"
    assert done.result.loss_after < 1 < done.result.loss_before
    assert not done.result.held_out

    model = await gateway.model()
    assert model is not None
    assert model.aliases == {"latest": 1, "prod": 1}
    store = servers.store()
    ref = model.versions[0].manifest
    manifest = decode(Manifest, await store.get(ref))
    assert (manifest.guild, manifest.name, manifest.base.name) == (gateway.guild, "main", "starter")
    assert manifest.contributors == ["42"]
    assert manifest.datasets == [job.job.dataset]
    assert [file.name for file in manifest.files] == ["adapter_config.json", "adapter_model.safetensors"]
    for file in manifest.files:
        key = ref.key.replace(MANIFEST, file.name)
        await store.get(ObjectRef(bucket=MODELS, key=key, size=file.size, sha256=file.sha256))


async def test_a_second_model_waits_to_be_chosen(gateway: Gateway, trainer: Process) -> None:
    for _ in range(2):
        done = await gateway.until(await gateway.submit(), JobState.SUCCEEDED)
    assert done.result is not None
    assert (done.result.model, done.result.in_use) == ("main@2", False)
    model = await gateway.model()
    assert model is not None
    assert model.aliases == {"latest": 2, "prod": 1}


async def test_one_key_is_one_job(gateway: Gateway, trainer: Process) -> None:
    first, second = await gateway.submit(key="message-1"), await gateway.submit(key="message-1")
    assert first.job.job == second.job.job
    await gateway.until(first, JobState.SUCCEEDED)
    assert len(await gateway.jobs.recent(gateway.guild)) == 1


async def test_a_running_job_is_cancelled_at_once(gateway: Gateway, trainer: Process) -> None:
    job = await gateway.submit(ENDLESS, epochs=1000)
    await gateway.until(job, learning=True)
    child = session_pids(trainer.child.pid) - {trainer.child.pid}
    assert child
    asked = asyncio.get_running_loop().time()
    assert (await gateway.jobs.cancel(gateway.guild, job.job.job)).state is JobState.CANCELLING
    await gateway.until(job, JobState.CANCELLED)
    assert asyncio.get_running_loop().time() - asked < 5
    assert not still_running(child), "the training process is gone, and its memory is free"
    assert await gateway.model() is None
    with pytest.raises(Conflict) as ended:
        await gateway.jobs.cancel(gateway.guild, job.job.job)
    assert ended.value.code == "job_ended"


async def test_a_waiting_job_is_cancelled(gateway: Gateway, servers: Servers, tmp_path: Path) -> None:
    async with a_trainer(servers, tmp_path):
        dataset = await gateway.dataset()
    job = await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key="k")
    assert (await gateway.jobs.cancel(gateway.guild, job.job.job)).state is JobState.CANCELLED
    async with a_trainer(servers, tmp_path):  # finds the message, and that there is nothing to do
        after = await gateway.until(await gateway.submit(), JobState.SUCCEEDED)
    assert after.result is not None
    assert after.result.model == "main@1"


async def test_a_killed_trainers_job_is_done_by_the_next(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    async with a_trainer(servers, tmp_path) as first:
        job = await gateway.submit(ENDLESS, epochs=60)
        await gateway.until(job, learning=True)
        everything = session_pids(first.child.pid)
        os.kill(first.child.pid, signal.SIGKILL)
        await first.child.wait()
    async with a_trainer(servers, tmp_path):
        done = await gateway.until(job, JobState.SUCCEEDED)
    assert not still_running(everything), "the training process ends with its parent"
    assert done.attempt == 2
    model = await gateway.model()
    assert model is not None
    assert len(model.versions) == 1


async def test_a_killed_training_process_is_started_again(gateway: Gateway, trainer: Process) -> None:
    job = await gateway.submit(ENDLESS, epochs=60)
    await gateway.until(job, learning=True)
    for pid in session_pids(trainer.child.pid) - {trainer.child.pid}:
        os.kill(pid, signal.SIGKILL)
    done = await gateway.until(job, JobState.SUCCEEDED)
    assert done.attempt == 2


async def test_a_stopped_trainer_hands_its_job_back(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    async with a_trainer(servers, tmp_path):
        job = await gateway.submit(ENDLESS, epochs=60)
        await gateway.until(job, learning=True)
    waiting = await gateway.jobs.get(gateway.guild, job.job.job)
    assert (waiting.state, waiting.attempt, waiting.worker) == (JobState.QUEUED, 0, None)
    async with a_trainer(servers, tmp_path):
        await gateway.until(job, JobState.SUCCEEDED)


async def test_data_that_is_gone_fails_the_job(gateway: Gateway, trainer: Process) -> None:
    dataset = await gateway.dataset()
    gone = dataset.examples.model_copy(update={"key": f"{gateway.guild}/gone"})
    dataset = dataset.model_copy(update={"examples": gone})
    job = await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key="k")
    failed = await gateway.until(job, JobState.FAILED)
    assert failed.error is not None
    assert failed.error.code == "no_object"


async def test_another_base_is_refused(gateway: Gateway, trainer: Process) -> None:
    """Submitted by hand, as an operator may: message first, without an entry."""
    dataset = await gateway.dataset()
    job = TrainJob(
        job="a" * 10,
        guild=gateway.guild,
        model="main",
        dataset=dataset.id,
        examples=dataset.examples,
        base="other/model",
        submitted_by="operator",
        submitted_at=now(),
    )
    await gateway.connection.jetstream().publish(job_subject(gateway.guild), encode(job))
    async with asyncio.timeout(20):
        while True:
            try:
                failed = await gateway.jobs.get(gateway.guild, job.job)
                if failed.error:
                    break
            except NotFound:
                pass
            await asyncio.sleep(0.05)
    assert failed.error.code == "unknown_base"
    assert "'starter'" in failed.error.message


async def test_what_is_no_job_goes_to_the_dead_letters(
    gateway: Gateway, trainer: Process, servers: Servers
) -> None:
    async with servers.connected("operator") as operator:
        await gateway.connection.jetstream().publish(job_subject(gateway.guild), b"hello")
        async with asyncio.timeout(20):
            while True:
                info = await operator.jetstream().stream_info(
                    "DLQ", subjects_filter=f"dlq.train.{gateway.guild}"
                )
                if info.state.subjects:
                    break
                await asyncio.sleep(0.05)
        letter = await operator.jetstream().get_msg("DLQ", subject=f"dlq.train.{gateway.guild}")
        assert letter.data == b"hello"
        assert "not JSON" in (letter.headers or {})["X-Dlq-Reason"]


async def test_a_full_queue_is_told_at_once(gateway: Gateway, servers: Servers, tmp_path: Path) -> None:
    async with a_trainer(servers, tmp_path):
        dataset = await gateway.dataset()

    async def submit(key: int) -> JobRecord:
        return await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key=str(key))

    jobs = [await submit(key) for key in range(JOBS_PER_GUILD)]
    with pytest.raises(QueueFull):
        await submit(99)
    states = {record.state for record in await gateway.jobs.recent(gateway.guild)}
    assert states == {JobState.QUEUED, JobState.FAILED}
    for job in jobs:
        await gateway.jobs.cancel(gateway.guild, job.job.job)


async def test_what_is_committed_is_published_and_not_trained_again(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    """A worker died between its commit and the end: the next one ends the job, and nobody can cancel it."""
    async with a_trainer(servers, tmp_path):
        await gateway.until(await gateway.submit(), JobState.SUCCEEDED)
        dataset = await gateway.dataset()
    model = await gateway.model()
    assert model is not None
    store = servers.store()
    job = await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key="second")
    manifest = decode(Manifest, await store.get(model.versions[0].manifest))
    stored = manifest.model_copy(update={"job": job.job.job})
    ref = await store.put(MODELS, f"{gateway.guild}/committed/{MANIFEST}", encode(stored))
    records = await open_bucket(gateway.connection, JOBS, JobRecord)
    committed = Committed(manifest=ref, steps=7, seconds=1.5, promote=False)
    await records.change(job.key, lambda old: old.model_copy(update={"committed": committed}))

    with pytest.raises(Conflict) as refused:
        await gateway.jobs.cancel(gateway.guild, job.job.job)
    assert refused.value.code == "too_late"
    async with a_trainer(servers, tmp_path):
        done = await gateway.until(job, JobState.SUCCEEDED)
    done = await gateway.jobs.get(gateway.guild, job.job.job)
    assert done.result is not None
    assert (done.result.model, done.result.steps) == ("main@2", 7)


async def test_a_committed_model_that_is_damaged_is_given_up(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    """Nothing would ever mend it: it must not come back for ever."""
    async with a_trainer(servers, tmp_path):
        dataset = await gateway.dataset()
    job = await gateway.jobs.submit(dataset, "main", Hyperparameters(), submitted_by="42", key="damaged")
    store = servers.store()
    ref = await store.put(MODELS, f"{gateway.guild}/damaged/{MANIFEST}", b"{}")
    await store.put(MODELS, f"{gateway.guild}/damaged/{MANIFEST}", b"[]")
    records = await open_bucket(gateway.connection, JOBS, JobRecord)
    last = {"committed": Committed(manifest=ref, steps=7, seconds=1.5, promote=True), "attempt": 2}
    await records.change(job.key, lambda old: old.model_copy(update=last))
    async with a_trainer(servers, tmp_path):
        failed = await gateway.until(job, JobState.FAILED)
    assert failed.error is not None
    assert failed.error.code == "gave_up"
    assert await gateway.model() is None


async def test_a_rank_that_is_not_served_is_refused_before_training(
    gateway: Gateway, trainer: Process
) -> None:
    job = await gateway.until(await gateway.submit(rank=64), JobState.FAILED)
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("rank_too_high", "rank")


async def test_a_cancelled_job_frees_its_place_in_the_queue(gateway: Gateway, trainer: Process) -> None:
    running = await gateway.submit(ENDLESS, epochs=900)
    await gateway.until(running, learning=True)
    waiting = [await gateway.submit() for _ in range(JOBS_PER_GUILD - 1)]
    with pytest.raises(QueueFull):
        await gateway.submit()
    await gateway.jobs.cancel(gateway.guild, waiting[-1].job.job)
    async with asyncio.timeout(10):
        while True:
            try:
                waiting[-1] = await gateway.submit()
                break
            except QueueFull:
                await asyncio.sleep(0.05)
    for job in (*waiting, running):
        await gateway.jobs.cancel(gateway.guild, job.job.job)
    await gateway.until(running, JobState.CANCELLED)
