"""What becomes of a job's message, on a real bus and without a training: claims, pauses, hand-backs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, HandBack, LeaveAlone, Outcome
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.storage import DATASETS, ObjectRef
from chorus.common.contracts.topology import JOBS
from chorus.common.contracts.training import (
    Checkpoint,
    Control,
    JobRecord,
    JobResult,
    JobState,
    Learned,
    TrainJob,
    control_subject,
    job_subject,
)
from chorus.common.contracts.wire import encode, now
from chorus.common.errors import Unavailable
from chorus.common.objects import CorruptObject
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training import run
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.run import ATTEMPTS, JobRunner
from chorus.trainer.training.turns import Turns
from chorus.trainer.training.work import Training
from tests.support.servers import Servers

RESULT = JobResult(
    model="main@1", in_use=True, loss_before=2.0, loss_after=1.0, held_out=False, steps=1, seconds=1.0
)


@dataclass
class ATraining:
    """Does what a test wants it to."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    end: asyncio.Event = field(default_factory=asyncio.Event)
    obeys: bool = True
    checkpoint: Checkpoint | None = None
    fails: Exception | None = None
    journal: Journal | None = None
    forgotten: list[str] = field(default_factory=list)

    async def run(self, journal: Journal, pause: asyncio.Event) -> JobResult | None:
        self.journal = journal
        if self.checkpoint is not None:
            await journal.checkpointed(self.checkpoint)
        if self.fails is not None:
            raise self.fails
        self.begun.set()
        await (pause if self.obeys else self.end).wait()
        return None

    async def forget(self, job: TrainJob) -> None:
        self.forgotten.append(job.job)


@dataclass
class AMessage:
    """A delivery in hand, without a queue."""

    data: bytes
    subject: str
    message_id: str | None = None
    sequence: int = 1
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


class Place:
    """One worker, one job, and the job's entry."""

    def __init__(self, connection: Connection, jobs: Bucket[JobRecord], guild: str) -> None:
        self.connection = connection
        self.jobs = jobs
        nothing = ObjectRef(bucket=DATASETS, key=f"{guild}/x", size=0, sha256="0" * 64)
        self.job = TrainJob(
            job="a" * 10,
            guild=guild,
            model="main",
            data=[Learned(dataset="data@1", examples=nothing)],
            submitted_by="42",
            submitted_at=now(),
        )
        self.training = ATraining()
        self.runner = self.worker("one", self.training)

    def worker(self, name: str, training: ATraining) -> JobRunner:
        return JobRunner(
            self.connection,
            self.jobs,
            cast(Training, training),
            Turns(self.jobs),
            TrainerMetrics(CollectorRegistry()),
            worker=name,
            grace=10.0,
        )

    def message(self, message_id: str | None = None) -> AMessage:
        return AMessage(encode(self.job), job_subject(self.job.guild), message_id)

    async def handle(self, message: AMessage, runner: JobRunner | None = None) -> Outcome:
        async with asyncio.timeout(20):
            return await (runner or self.runner).handle(cast(Delivery, message))

    async def has(self, **changes: object) -> JobRecord:
        """Write the entry as somebody else has left it."""
        first = JobRecord(state=JobState.QUEUED, job=self.job, updated_at=now())
        changed = first.model_copy(update=changes)
        return (await self.jobs.change(first.key, lambda old: changed, initial=first)).value

    async def becomes(self, state: JobState) -> None:
        """Change the entry's state as the gateway does, and tell the workers."""
        key = f"{self.job.guild}.{self.job.job}"
        await self.jobs.change(key, lambda old: old.model_copy(update={"state": state}))
        control = Control(guild=self.job.guild, action="pause")

        @dataclass
        class Word:
            subject: str = control_subject(self.job.job)
            data: bytes = encode(control)

        await self.runner.on_control(Word())  # type: ignore[arg-type]

    async def entry(self) -> JobRecord:
        entry = await self.jobs.get(f"{self.job.guild}.{self.job.job}")
        assert entry is not None
        return entry.value


@pytest.fixture
async def place(servers: Servers, guild: str) -> AsyncIterator[Place]:
    async with servers.connected("trainer") as connection:
        place = Place(connection, await open_bucket(connection, JOBS, JobRecord), guild)
        yield place
        await place.has(state=JobState.CANCELLED)  # or it would wait for its turn, before the jobs of others


async def test_a_pause_ends_the_work_and_the_message(place: Place) -> None:
    running = asyncio.create_task(place.handle(place.message()))
    await place.training.begun.wait()
    assert (await place.entry()).state is JobState.RUNNING
    await place.becomes(JobState.PAUSING)
    assert await running == Done()
    paused = await place.entry()
    assert (paused.state, paused.worker, paused.attempt, paused.claims) == (JobState.PAUSED, None, 0, 1)
    assert paused.started_at is not None
    assert paused.seconds > 0
    assert not place.training.forgotten, "its checkpoints are needed"


async def test_work_that_does_not_pause_in_time_is_cut_short(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PAUSE_WITHIN", 0.1)
    place.training.obeys = False
    running = asyncio.create_task(place.handle(place.message()))
    await place.training.begun.wait()
    await place.becomes(JobState.PAUSING)
    assert await running == Done()
    assert (await place.entry()).state is JobState.PAUSED


async def test_a_pause_that_becomes_a_cancel_is_one(place: Place) -> None:
    place.training.obeys = False
    running = asyncio.create_task(place.handle(place.message()))
    await place.training.begun.wait()
    await place.becomes(JobState.PAUSING)
    await place.becomes(JobState.CANCELLING)
    assert await running == Done()
    assert (await place.entry()).state is JobState.CANCELLED
    assert place.training.forgotten == [place.job.job]


async def test_a_stopping_service_hands_back_what_it_saved(place: Place) -> None:
    message = place.message()
    running = asyncio.create_task(place.handle(message))
    await place.training.begun.wait()
    message.stopping.set()
    assert await running == HandBack()
    assert (await place.entry()).state is JobState.QUEUED


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED, JobState.SUCCEEDED])
async def test_what_nobody_wants_run_is_not_claimed(place: Place, state: JobState) -> None:
    await place.has(state=state)
    assert await place.handle(place.message()) == Done()
    assert (await place.entry()).claims == 0


@pytest.mark.parametrize(
    ("asked", "becomes"),
    [(JobState.PAUSING, JobState.PAUSED), (JobState.CANCELLING, JobState.CANCELLED)],
)
async def test_what_a_lost_worker_was_asked_is_done_by_the_next(
    place: Place, asked: JobState, becomes: JobState
) -> None:
    await place.has(state=asked, worker="dead", claims=1, attempt=1)
    assert await place.handle(place.message()) == Done()
    assert (await place.entry()).state is becomes
    assert not place.training.begun.is_set()


async def test_a_message_from_before_a_pause_does_nothing(place: Place) -> None:
    old = await place.has()
    resumed = await place.has(published=1)
    assert old.message_id != resumed.message_id
    assert await place.handle(place.message(old.message_id)) == Done()
    assert (await place.entry()).state is JobState.QUEUED
    running = asyncio.create_task(place.handle(place.message(resumed.message_id)))
    await place.training.begun.wait()
    await place.becomes(JobState.CANCELLING)
    assert await running == Done()


async def test_a_job_that_gets_further_may_fail_as_often_again(place: Place) -> None:
    manifest = ObjectRef(bucket="checkpoints", key="x", size=1, sha256="0" * 64)
    place.training.checkpoint = Checkpoint(step=10, manifest=manifest, at=now())
    place.training.fails = Unavailable("S3 is away.")
    await place.has(attempt=ATTEMPTS - 1)
    outcome = await place.handle(place.message())
    assert isinstance(outcome, HandBack)
    assert outcome.delay > 0
    waiting = await place.entry()
    assert (waiting.state, waiting.attempt) == (JobState.QUEUED, 1)
    for _ in range(ATTEMPTS - 1):  # the same step again is no progress
        await place.handle(place.message())
    given_up = await place.entry()
    assert (given_up.state, given_up.claims) == (JobState.FAILED, ATTEMPTS)
    assert given_up.error is not None
    assert given_up.error.code == "gave_up"


async def test_a_job_whose_stored_model_is_damaged_fails_with_the_code_of_that(place: Place) -> None:
    place.training.fails = CorruptObject("models/1/main is damaged.")
    await place.has(attempt=ATTEMPTS - 1)
    await place.handle(place.message())
    given_up = await place.entry()
    assert given_up.error is not None
    assert given_up.error.code == "object_corrupt"


async def test_a_worker_that_was_overtaken_writes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LOOK_EVERY", 0.05)
    running = asyncio.create_task(place.handle(place.message()))
    await place.training.begun.wait()
    second = ATraining()
    overtaking = asyncio.create_task(place.handle(place.message(), place.worker("two", second)))
    await second.begun.wait()
    await place.becomes(JobState.PAUSING)  # the first one looks, too
    assert await running == LeaveAlone()
    taken = await place.entry()
    assert (taken.worker, taken.claims, taken.state) == ("two", 2, JobState.PAUSING)
    await place.becomes(JobState.CANCELLING)
    assert await overtaking == Done()
