"""The queue without trainings: real servers and a real worker, whose work is a script."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.js.errors import NotFoundError
from prometheus_client import CollectorRegistry

from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import JobWorker
from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.topology import JOBS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.training import (
    CONTROL_SUBJECT,
    JobRecord,
    JobResult,
    JobState,
    TrainJob,
    job_subject,
)
from chorus.gateway.backends.jobs import BusJobs
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.run import JobRunner
from chorus.trainer.training.turns import Turns
from tests.support.servers import ACK_WAIT, Servers
from tests.unit.gateway.fake_data import dataset

RESULT = JobResult(
    model="main@1", in_use=False, loss_before=2, loss_after=1, held_out=False, steps=9, seconds=3
)


class Script:
    """In place of `Training`: a job goes on until the test ends it, or somebody pauses it."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[TrainJob] = asyncio.Queue()
        self._ends: dict[str, asyncio.Event] = {}

    async def run(self, journal: Journal, pause: asyncio.Event) -> JobResult | None:
        job = journal.record.job
        end = self._ends[job.job] = asyncio.Event()
        self.begun.put_nowait(job)
        waits = [asyncio.create_task(event.wait()) for event in (end, pause)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        return RESULT if end.is_set() else None

    async def forget(self, job: TrainJob) -> None:
        """It keeps nothing."""

    async def next(self) -> TrainJob:
        """The job that begins now, or has begun meanwhile."""
        async with asyncio.timeout(20):
            return await self.begun.get()

    def end(self, job: TrainJob) -> None:
        self._ends[job.job].set()


class Orders:
    """The gateway's end."""

    def __init__(self, connection: Connection, bucket: Bucket[JobRecord]) -> None:
        self.connection = connection
        self.bucket = bucket
        self.jobs = BusJobs(connection, bucket)

    async def submit(self, guild: str, key: str | None = None, **wishes: object) -> TrainJob:
        record = await self.jobs.submit(
            [dataset(guild=guild)],
            "main",
            Hyperparameters.model_validate(wishes),
            submitted_by="42",
            key=key or uuid.uuid4().hex,
        )
        return record.job

    async def until(self, job: TrainJob, state: JobState) -> JobRecord:
        async with asyncio.timeout(20):
            while (record := await self.jobs.get(job.guild, job.job)).state is not state:
                await asyncio.sleep(0.02)
        return record


@asynccontextmanager
async def ordering(servers: Servers) -> AsyncIterator[Orders]:
    async with servers.connected("gateway") as connection:
        yield Orders(connection, await open_bucket(connection, JOBS, JobRecord))


@asynccontextmanager
async def a_worker(servers: Servers, script: Script, *, slots: int = 1) -> AsyncIterator[Connection]:
    """A trainer that takes jobs, as `app.py` puts it together."""
    failures: list[str] = []
    async with servers.connected("trainer") as connection:
        jobs = await open_bucket(connection, JOBS, JobRecord)
        turns = Turns(jobs)
        await turns.read()
        runner = JobRunner(
            connection,
            jobs,
            script,  # type: ignore[arg-type]
            turns,
            TrainerMetrics(CollectorRegistry()),
            worker=uuid.uuid4().hex,
            grace=5.0,
        )
        following = asyncio.create_task(turns.run())
        await connection.listen(f"{CONTROL_SUBJECT}.*", cb=runner.on_control)
        worker = JobWorker(
            connection,
            TRAIN,
            TRAINER_CONSUMER,
            runner.handle,
            slots=slots,
            ack_wait=ACK_WAIT,
            grace=5.0,
            on_failed=failures.append,
        )
        try:
            async with worker:
                yield connection
        finally:
            following.cancel()
        assert not failures


async def in_queue(servers: Servers, guild: str) -> list[int]:
    """Sequence numbers of the guild's messages."""
    found: list[int] = []
    async with servers.connected("operator") as connection:
        while True:
            after = found[-1] + 1 if found else 1
            try:
                message = await connection.jetstream().get_msg(TRAIN, after, job_subject(guild), next=True)
            except NotFoundError:
                return found
            assert message.seq is not None
            found.append(message.seq)
