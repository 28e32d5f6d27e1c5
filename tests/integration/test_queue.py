"""What waits in the queue while no worker is there: cancelled, refused, or already done but for the end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import MANIFEST, BaseModelId, Evaluation, Manifest
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.topology import JOBS, JOBS_PER_GUILD, TRAIN
from chorus.common.contracts.training import Committed, JobRecord, JobState, job_subject
from chorus.common.contracts.wire import encode, now
from chorus.common.errors import Conflict, QueueFull
from chorus.common.local.process import Process
from tests.support.servers import Servers
from tests.support.training import Gateway, a_trainer


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """One that answers about data, and takes no jobs."""
    async with a_trainer(servers, tmp_path_factory.mktemp("data"), CHORUS_ROLE="datasets") as process:
        yield process


async def submitted(gateway: Gateway, key: str = "k") -> JobRecord:
    data = [await gateway.dataset()]
    return await gateway.jobs.submit(data, "main", Hyperparameters(), submitted_by="42", key=key)


async def committed(gateway: Gateway, job: JobRecord, manifest: ObjectRef, **changes: object) -> None:
    """The entry as a worker leaves it that dies between its commit and the end."""
    records = await open_bucket(gateway.connection, JOBS, JobRecord)
    what = Committed(manifest=manifest, steps=7, seconds=1.5, promote=True)
    await records.change(job.key, lambda old: old.model_copy(update={"committed": what, **changes}))


async def test_a_waiting_job_is_cancelled(gateway: Gateway, servers: Servers, tmp_path: Path) -> None:
    job = await submitted(gateway)
    assert (await gateway.jobs.cancel(gateway.guild, job.job.job)).state is JobState.CANCELLED
    async with a_trainer(servers, tmp_path, "jobs", CHORUS_ROLE="jobs"), servers.connected("operator") as bus:
        async with asyncio.timeout(20):
            while (  # the message is found, and that there is nothing to do
                await bus.jetstream().stream_info(TRAIN, subjects_filter=job_subject(gateway.guild))
            ).state.subjects:
                await asyncio.sleep(0.05)
    left = await gateway.jobs.get(gateway.guild, job.job.job)
    assert (left.state, left.claims) == (JobState.CANCELLED, 0)


async def test_a_full_queue_is_told_at_once(gateway: Gateway) -> None:
    dataset = await gateway.dataset()

    async def submit(key: int) -> JobRecord:
        return await gateway.jobs.submit(
            [dataset], "main", Hyperparameters(), submitted_by="42", key=str(key)
        )

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
    job = await submitted(gateway)
    manifest = Manifest(
        guild=gateway.guild,
        name="main",
        base=BaseModelId(name="starter", fingerprint="0" * 64),
        method="lora",
        rank=16,
        chat_template_sha256="0" * 64,
        eos_token_ids=[2],
        probes=[],
        files=[],
        datasets=[job.job.dataset],
        contributors=["42"],
        evaluation=Evaluation(loss_before=2.0, loss_after=1.0, held_out=False, examples=2),
        hyperparameters={},
        job=job.job.job,
        created_at=now(),
    )
    ref = await servers.store().put(MODELS, f"{gateway.guild}/committed/{MANIFEST}", encode(manifest))
    await committed(gateway, job, ref)
    with pytest.raises(Conflict) as refused:
        await gateway.jobs.cancel(gateway.guild, job.job.job)
    assert refused.value.code == "too_late"
    async with a_trainer(servers, tmp_path, "jobs", CHORUS_ROLE="jobs"):
        done = await gateway.until(job, JobState.SUCCEEDED)
    assert done.result is not None
    assert (done.result.model, done.result.steps, done.result.in_use) == ("main@1", 7, True)


async def test_a_committed_model_that_is_damaged_is_given_up(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    """Nothing would ever mend it: it must not come back for ever."""
    job = await submitted(gateway)
    store = servers.store()
    ref = await store.put(MODELS, f"{gateway.guild}/damaged/{MANIFEST}", b"{}")
    await store.put(MODELS, f"{gateway.guild}/damaged/{MANIFEST}", b"[]")
    await committed(gateway, job, ref, attempt=2)
    async with a_trainer(servers, tmp_path, "jobs", CHORUS_ROLE="jobs"):
        failed = await gateway.until(job, JobState.FAILED)
    assert failed.error is not None
    assert failed.error.code == "object_corrupt"
    assert await gateway.model() is None
