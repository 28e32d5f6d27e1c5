"""Checkpoints on real servers: whoever has a job next goes on from the newest one that is whole."""

import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.bus.claims import ClaimLost
from chorus.common.contracts.models import MANIFEST
from chorus.common.contracts.storage import CHECKPOINTS, DATASETS, ObjectRef
from chorus.common.contracts.training import Checkpoint, JobRecord, JobState, Learned, TrainJob
from chorus.common.contracts.wire import now
from chorus.common.objects import ObjectStore
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.checkpoints import FILES, Checkpoints, File, discard
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Saved
from tests.support.chorus import session_pids, still_running
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_gateway, a_trainer, learned_steps

STEPS = 200  # some seconds; each epoch of this data is one


# --- in the store alone --------------------------------------------------------------------------
@dataclass
class PlainJournal:
    """What checkpoints are told to, without a bus."""

    record: JobRecord
    lost: bool = False
    warnings: list[str] = field(default_factory=list)

    async def checkpointed(self, checkpoint: Checkpoint) -> None:
        if self.lost:
            raise ClaimLost("Another worker has taken this job over.")
        self.record = self.record.model_copy(update={"checkpoint": checkpoint})

    async def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def store(servers: Servers) -> ObjectStore:
    return servers.store()


@pytest.fixture
def journal(guild: str) -> PlainJournal:
    nothing = ObjectRef(bucket=DATASETS, key=f"{guild}/x", size=0, sha256="0" * 64)
    job = TrainJob(
        job="a" * 10,
        guild=guild,
        model="main",
        data=[Learned(dataset="data@1", examples=nothing)],
        submitted_by="42",
        submitted_at=now(),
    )
    return PlainJournal(JobRecord(state=JobState.RUNNING, job=job, claims=1, updated_at=now()))


def checkpoints(store: ObjectStore, journal: PlainJournal) -> Checkpoints:
    return Checkpoints(store, cast(Journal, journal), TrainerMetrics(CollectorRegistry()), kept=2)


def saved(folder: Path, step: int) -> Saved:
    """A checkpoint as a child writes it, of two small files."""
    place = folder / f"step-{step}"
    place.mkdir()
    files: dict[str, File] = {}
    for name in ("weights.safetensors", "state.json"):
        data = f"{name} of step {step}".encode()
        (place / name).write_bytes(data)
        files[name] = File(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    (place / MANIFEST).write_bytes(FILES.dump_json(files))
    return Saved(step=step, folder=str(place))


async def stored(store: ObjectStore, journal: PlainJournal) -> set[str]:
    """The folders of the job's checkpoints in S3."""
    home = f"{journal.record.job.guild}/{journal.record.job.job}/"
    found = await store.list(CHECKPOINTS, home)
    return {each.key.removeprefix(home).split("/")[0] for each in found}


async def found(store: ObjectStore, journal: PlainJournal, folder: Path) -> list[int]:
    """The steps that could be gone on from, the best first; their bytes are looked at."""
    steps: list[int] = []
    async with aclosing(checkpoints(store, journal).whole(folder)) as whole:
        async for each in whole:
            words = (Path(each.folder) / "weights.safetensors").read_text()
            assert words == f"weights.safetensors of step {each.step}"
            assert (Path(each.folder) / MANIFEST).is_file()
            steps.append(each.step)
    return steps


async def test_the_newest_is_named_and_few_are_kept(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    keeper = checkpoints(store, journal)
    for step in (10, 20, 30):
        await keeper.store(saved(tmp_path, step))
    assert await stored(store, journal) == {"00000020-1", "00000030-1"}
    assert journal.record.checkpoint is not None
    assert journal.record.checkpoint.step == 30
    assert await found(store, journal, tmp_path / "next") == [30, 20]
    await discard(store, journal.record.job)
    assert await stored(store, journal) == set()


async def test_what_is_damaged_or_missing_is_passed_over(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    keeper = checkpoints(store, journal)
    for step in (10, 20):
        await keeper.store(saved(tmp_path, step))
    home = f"{journal.record.job.guild}/{journal.record.job.job}"
    await store.put(CHECKPOINTS, f"{home}/00000020-1/state.json", b"state.json of step 2?")
    assert await found(store, journal, tmp_path / "damaged") == [10]
    await store.delete(CHECKPOINTS, [f"{home}/00000020-1/state.json"])
    assert await found(store, journal, tmp_path / "missing") == [10]
    await store.put(CHECKPOINTS, f"{home}/00000010-1/{MANIFEST}", b"{")
    assert await found(store, journal, tmp_path / "none") == []
    assert journal.warnings[-1].startswith("The checkpoint of step 10 is damaged")


async def test_one_that_was_cut_short_is_none(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    home = f"{journal.record.job.guild}/{journal.record.job.job}"
    await store.put(CHECKPOINTS, f"{home}/00000099-1/weights.safetensors", b"half of")
    assert await found(store, journal, tmp_path / "next") == []
    await checkpoints(store, journal).store(saved(tmp_path, 10))
    assert await stored(store, journal) == {"00000010-1"}, "and it is cleared away"


async def test_a_worker_that_was_frozen_leaves_its_successors_uploads_alone(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    home = f"{journal.record.job.guild}/{journal.record.job.job}"
    for place in ("00000008-1", "00000009-2"):
        await store.put(CHECKPOINTS, f"{home}/{place}/weights.safetensors", b"half of")
    await checkpoints(store, journal).store(saved(tmp_path, 10))
    assert await stored(store, journal) == {"00000009-2", "00000010-1"}


async def test_after_a_new_beginning_its_checkpoints_are_the_newest(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    for step in (40, 50):
        await checkpoints(store, journal).store(saved(tmp_path, step))
    journal.record = journal.record.model_copy(update={"claims": 2})
    await checkpoints(store, journal).store(saved(tmp_path, 10))
    assert await found(store, journal, tmp_path / "next") == [10, 50]


async def test_a_lost_worker_leaves_nothing(
    store: ObjectStore, journal: PlainJournal, tmp_path: Path
) -> None:
    journal.lost = True
    with pytest.raises(ClaimLost):
        await checkpoints(store, journal).store(saved(tmp_path, 10))
    assert await stored(store, journal) == set()


# --- with a trainer ------------------------------------------------------------------------------
@pytest.fixture
async def gateway(servers: Servers, guild: str) -> AsyncIterator[Gateway]:
    async with a_gateway(servers, guild) as gateway:
        yield gateway


async def test_a_killed_trainers_job_goes_on_from_its_checkpoint(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    async with a_trainer(servers, tmp_path, CHORUS_CHECKPOINT_EVERY="1") as first:
        job = await gateway.submit(ENDLESS, epochs=STEPS)
        held = await gateway.until_entry(job.job.job, lambda record: record.checkpoint)
        everything = session_pids(first.child.pid)
        os.kill(first.child.pid, signal.SIGKILL)
        await first.child.wait()
    assert held.checkpoint is not None
    async with a_trainer(servers, tmp_path):
        done = await gateway.until(job, JobState.SUCCEEDED)
    assert not still_running(everything), "the training process ends with its parent"
    assert done.result is not None
    assert (done.claims, done.attempt) == (2, 2)
    went_on = [int(words.split()[-1]) for words in await gateway.log(job) if words.startswith("going on")]
    assert len(went_on) == 1
    assert went_on[0] >= held.checkpoint.step > 0
    assert await learned_steps(servers.store(), done) == list(range(1, done.result.steps + 1))
    model = await gateway.model()
    assert model is not None
    assert len(model.versions) == 1


async def test_a_stopped_trainer_hands_back_with_a_checkpoint_and_an_older_one_does(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    async with a_trainer(servers, tmp_path, CHORUS_CHECKPOINT_EVERY="1"):
        job = await gateway.submit(ENDLESS, epochs=STEPS)
        await gateway.until_entry(job.job.job, lambda record: record.checkpoint)
    waiting = await gateway.jobs.get(gateway.guild, job.job.job)
    assert (waiting.state, waiting.attempt, waiting.worker) == (JobState.QUEUED, 0, None)
    assert waiting.checkpoint is not None
    store, newest = servers.store(), waiting.checkpoint.manifest.key.removesuffix(MANIFEST)
    kept = {each.key.rpartition("/")[0] for each in await store.list(CHECKPOINTS, f"{gateway.guild}/")}
    assert len(kept) == 2
    await store.put(CHECKPOINTS, f"{newest}state.json", b"{}")
    async with a_trainer(servers, tmp_path):
        done = await gateway.until(job, JobState.SUCCEEDED)
    log = await gateway.log(job)
    assert f"The checkpoint of step {waiting.checkpoint.step} is damaged: an older one is looked for." in log
    (older,) = [int(words.split()[-1]) for words in log if words.startswith("going on from")]
    assert 0 < older < waiting.checkpoint.step
    assert done.result is not None
    assert await learned_steps(store, done) == list(range(1, done.result.steps + 1))


@pytest.mark.slow
async def test_two_ranks_pause_together_and_go_on(gateway: Gateway, servers: Servers, tmp_path: Path) -> None:
    """On a CPU, where it gains nothing; torchrun and the one pipe to all of its ranks are the same."""
    async with a_trainer(servers, tmp_path, CHORUS_GPUS_PER_JOB="2"):
        job = await gateway.submit(ENDLESS, epochs=STEPS)
        await gateway.until(job, learning=True)
        await gateway.jobs.pause(gateway.guild, job.job.job)
        await gateway.until(job, JobState.PAUSED)
        paused = await gateway.jobs.get(gateway.guild, job.job.job)
        assert paused.checkpoint is not None
        await gateway.jobs.resume(gateway.guild, job.job.job)
        done = await gateway.until(job, JobState.SUCCEEDED)
    assert f"going on from step {paused.checkpoint.step}" in await gateway.log(job)
    assert done.result is not None
    assert await learned_steps(servers.store(), done) == list(range(1, done.result.steps + 1))
