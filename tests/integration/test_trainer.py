"""The trainer on real servers: from a job in the queue to a published adapter, whatever dies on the way."""

import asyncio
import os
import signal
from contextlib import aclosing
from pathlib import Path

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import MANIFEST, Manifest
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.topology import JOBS_PER_GUILD
from chorus.common.contracts.training import (
    JobRecord,
    JobState,
    Parent,
    job_subject,
)
from chorus.common.contracts.wire import decode
from chorus.common.errors import Conflict, QueueFull
from chorus.common.local.process import Process
from tests.support.chorus import session_pids, still_running
from tests.support.servers import Servers
from tests.support.training import ENDLESS, NOBODYS, Gateway


async def test_a_job_becomes_a_model(gateway: Gateway, servers: Servers) -> None:
    job = await gateway.submit()
    states = []
    async with aclosing(gateway.jobs.follow(gateway.guild, job.job.job)) as records:
        async for record in records:
            if isinstance(record, JobRecord):
                states.append((record.state, record.stage))
    assert job.state is JobState.QUEUED
    assert states[-1][0] is JobState.SUCCEEDED
    assert [stage for _, stage in states if stage in ("learning", "publishing")][-1] == "publishing"

    done = await gateway.jobs.get(gateway.guild, job.job.job)
    assert done.state is JobState.SUCCEEDED
    assert done.result is not None
    assert done.result.model == "main@1"
    assert not done.result.in_use, "a server is asked of its first model, too"
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


async def test_a_second_model_goes_on_from_the_first_and_waits_to_be_chosen(
    gateway: Gateway, servers: Servers
) -> None:
    first, again = await gateway.submit(key="message-1"), await gateway.submit(key="message-1")
    assert first.job.job == again.job.job, "one key is one job"
    await gateway.until(first, JobState.SUCCEEDED)
    assert len(await gateway.jobs.recent(gateway.guild)) == 1

    model = await gateway.model()
    assert model is not None
    second = await gateway.jobs.submit(
        [await gateway.dataset(), await gateway.dataset(ENDLESS, "more")],
        "main",
        Hyperparameters(epochs=5),
        parent=Parent(model="main@1", manifest=model.versions[0].manifest),
        submitted_by="42",
        key="message-2",
    )
    done = await gateway.until(second, JobState.SUCCEEDED)
    assert done.result is not None
    assert (done.result.model, done.result.in_use) == ("main@2", False)
    model = await gateway.model()
    assert model is not None
    assert model.aliases == {"latest": 2, "prod": 1}
    manifest = decode(Manifest, await servers.store().get(model.versions[1].manifest))
    assert manifest.parent == "main@1"
    assert len(manifest.datasets) == 2
    assert manifest.evaluation.loss_before < 4, "it begins with what it has learned; the base has 5.6"


def learning(trainer: Process) -> set[int]:
    """Processes that train, and the one that they are forks of."""
    pids = session_pids(trainer.child.pid)
    return {pid for pid in pids if b"chorus.trainer.child" in Path(f"/proc/{pid}/cmdline").read_bytes()}


async def test_a_running_job_is_cancelled_at_once(gateway: Gateway, trainer: Process) -> None:
    job = await gateway.submit(ENDLESS, epochs=1000)
    await gateway.until(job, learning=True)
    child = learning(trainer)
    assert child
    async with asyncio.timeout(3):
        assert (await gateway.jobs.cancel(gateway.guild, job.job.job)).state is JobState.CANCELLING
        while still_running(child):  # until it is gone, and its memory is free
            await asyncio.sleep(0.01)
    await gateway.until(job, JobState.CANCELLED)
    assert await gateway.model() is None
    with pytest.raises(Conflict) as ended:
        await gateway.jobs.cancel(gateway.guild, job.job.job)
    assert ended.value.code == "job_ended"


async def test_a_killed_training_process_is_started_again(gateway: Gateway, trainer: Process) -> None:
    job = await gateway.submit(ENDLESS, epochs=60)
    await gateway.until(job, learning=True)
    for pid in learning(trainer):
        os.kill(pid, signal.SIGKILL)
    done = await gateway.until(job, JobState.SUCCEEDED)
    assert done.attempt == 2


async def test_data_that_is_gone_fails_the_job(gateway: Gateway) -> None:
    dataset = await gateway.dataset()
    gone = dataset.examples.model_copy(update={"key": f"{gateway.guild}/gone"})
    dataset = dataset.model_copy(update={"examples": gone})
    job = await gateway.jobs.submit([dataset], "main", Hyperparameters(), submitted_by="42", key="k")
    failed = await gateway.until(job, JobState.FAILED)
    assert failed.error is not None
    assert failed.error.code == "no_object"


async def test_what_nobody_checked_before_is_refused_by_the_worker(
    gateway: Gateway,
) -> None:
    """Submitted by hand, as an operator may: message first, without an entry."""
    for changes, code, words in (
        ({"base": "other/model"}, "unknown_base", "There is: starter"),
        ({"hyperparameters": Hyperparameters(rank=64)}, "rank_too_high", "at most 32"),
        ({"parent": Parent(model="main@1", manifest=NOBODYS)}, "parent_gone", "another version"),
        ({}, "other_guild", "belongs to another guild"),
    ):
        job = await gateway.by_hand(**changes)
        failed = await gateway.until_entry(job.job, lambda record: record.state is JobState.FAILED)
        assert failed.error is not None
        assert failed.error.code == code
        assert words in failed.error.message


async def test_what_is_no_job_goes_to_the_dead_letters(gateway: Gateway, servers: Servers) -> None:
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


async def test_a_cancelled_job_frees_its_place_in_the_queue(gateway: Gateway) -> None:
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
