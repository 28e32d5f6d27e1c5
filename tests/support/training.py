"""What the gateway does for a guild's training, over the bus; and a trainer as a process of its own."""

import asyncio
import csv
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.datasets import Basis, Building, BuildOptions, Dataset
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.names import job_id
from chorus.common.contracts.storage import DATASETS, ObjectRef
from chorus.common.contracts.topology import JOBS, MODELS
from chorus.common.contracts.training import (
    JobEvent,
    JobRecord,
    JobState,
    Learned,
    TrainJob,
    job_subject,
)
from chorus.common.contracts.wire import encode, now
from chorus.common.errors import NotFound
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, free_ports
from chorus.common.objects import ObjectStore
from chorus.gateway.backends.datasets import BusDatasets
from chorus.gateway.backends.jobs import BusJobs
from chorus.gateway.commands.ports import NewDataset, Upload
from tests.support.servers import Servers

PAIRS = json.dumps([{"user": "What is the cat called?", "bot": "Bosun."}, {"user": "Wifi?", "bot": "Yes."}])
# Two answers to one question are never learned by heart: such a training runs to its last epoch.
ENDLESS = json.dumps([{"user": "Which?", "bot": "This one."}, {"user": "Which?", "bot": "That one."}])

NOBODYS = ObjectRef(bucket=DATASETS, key="1/x", size=1, sha256="0" * 64)
"""An object of another guild."""


class Gateway:
    """One guild's side of the bus."""

    def __init__(self, store: ObjectStore, connection: Connection, jobs: BusJobs, guild: str) -> None:
        self.connection = connection
        self.datasets = BusDatasets(connection, store)
        self.jobs = jobs
        self.guild = guild

    async def dataset(
        self, text: str | bytes = PAIRS, name: str = "data", *, positive: bool = True, **options: object
    ) -> Dataset:
        """A file handed over by person 42."""
        data = text if isinstance(text, bytes) else text.encode()
        new = NewDataset(
            name=name,
            files=[Upload("data.json", data)],
            positive=positive,
            contributor="42",
            basis=Basis(),
            options=BuildOptions.model_validate(options),
        )
        return await built(self.datasets.add(self.guild, new))

    async def submit(
        self, text: str = PAIRS, key: str | None = None, model: str = "main", **wishes: object
    ) -> JobRecord:
        return await self.jobs.submit(
            [await self.dataset(text)],
            model,
            Hyperparameters.model_validate(wishes),
            submitted_by="42",
            key=key or uuid.uuid4().hex,
        )

    async def by_hand(self, **changes: object) -> TrainJob:
        """Submit as an operator may: the message first, without an entry, unchecked, on data of nobody's."""
        job = TrainJob(
            job=job_id(self.guild, uuid.uuid4().hex),
            guild=self.guild,
            model="main",
            data=[Learned(dataset="data@1", examples=NOBODYS)],
            submitted_by="operator",
            submitted_at=now(),
        ).model_copy(update=changes)
        await self.connection.jetstream().publish(job_subject(self.guild), encode(job))
        return job

    async def until(
        self, job: JobRecord, *states: JobState, learning: bool = False, stage: str | None = None
    ) -> JobRecord:
        """Follow a job until it is in one of these states or stages, or until it makes steps."""
        async with asyncio.timeout(120), aclosing(self.jobs.follow(self.guild, job.job.job)) as records:
            async for record in records:
                if isinstance(record, JobEvent):
                    continue
                if record.state in states or (
                    learning and record.progress and record.state is JobState.RUNNING
                ):
                    return record
                if stage is not None and record.stage == stage:
                    return record
        raise AssertionError("the job ended otherwise")

    async def log(self, job: JobRecord) -> list[str]:
        """What was said of a job, figures aside."""
        return [event.message for event in await self.jobs.logs(self.guild, job.job.job)]

    async def until_entry(self, job: str, holds: Callable[[JobRecord], object]) -> JobRecord:
        """Read a job's entry until this holds of it."""
        async with asyncio.timeout(60):
            while True:
                with suppress(NotFound):  # a worker makes the entry of what was submitted by hand
                    record = await self.jobs.get(self.guild, job)
                    if holds(record):
                        return record
                await asyncio.sleep(0.05)

    async def model(self) -> ModelRecord | None:
        bucket = await open_bucket(self.connection, MODELS, ModelRecord)
        entry = await bucket.get(model_key(self.guild, "main"))
        return entry.value if entry else None


async def learned_steps(store: ObjectStore, done: JobRecord) -> list[int]:
    """The steps in the loss log of a job that succeeded."""
    assert done.result is not None
    assert done.result.losses is not None
    table = csv.DictReader((await store.get(done.result.losses)).decode().splitlines())
    return [int(row["step"]) for row in table]


async def built(steps: AsyncIterator[Building | Dataset]) -> Dataset:
    """The version at the end of a build; before it, how far it was."""
    told = [step async for step in steps]
    assert all(isinstance(step, Building) for step in told[:-1])
    assert isinstance(told[-1], Dataset)
    return told[-1]


@asynccontextmanager
async def a_gateway(servers: Servers, guild: str) -> AsyncIterator[Gateway]:
    async with servers.connected("gateway") as connection:
        jobs = BusJobs(connection, await open_bucket(connection, JOBS, JobRecord))
        yield Gateway(servers.store(), connection, jobs, guild)


@asynccontextmanager
async def a_trainer(
    servers: Servers, folder: Path, name: str = "trainer", **environment: str
) -> AsyncIterator[Process]:
    program = on_a_port_of_its_own(servers.stack.service("trainer"))
    program = replace(program, environment={**program.environment, **environment})
    process = Process(program, folder / f"{name}.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop(20.0)


def on_a_port_of_its_own(program: Program) -> Program:
    """Two of a service at a time cannot share the stack's one port for it."""
    (port,) = free_ports(1)
    environment = {**program.environment, "CHORUS_HEALTH_PORT": str(port)}
    return replace(program, environment=environment, ready_url=f"http://{HOST}:{port}/readyz")
