"""Three nats-servers by the shipped files, streams on all of them: their leader dies, and no job with it."""

import asyncio
import os
import subprocess
import sysconfig
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chorus.common.bus.connection import Connection
from chorus.common.contracts.topology import EVENTS, KV_BUCKETS, STREAMS, TRAIN
from chorus.common.contracts.training import JobEvent, JobResult, JobState, TrainJob
from chorus.common.contracts.wire import decode
from chorus.common.errors import ChorusError
from chorus.common.local.process import Process
from chorus.trainer.training.journal import Journal
from tests.conftest import fresh_guild
from tests.support.queue import RESULT, Orders, a_worker, ordering
from tests.support.secured import SecuredNats, secured_nats
from tests.support.servers import Servers

CHORUS = Path(sysconfig.get_path("scripts")) / "chorus"
JOBS, AT_ONCE = 80, 6
pytestmark = pytest.mark.slow
WITHIN = 120.0  # seconds; a new leader takes a few


class Instant:
    """In place of a training: done at once, and counted."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.running: Counter[str] = Counter()
        self.most_at_once = 0

    async def run(self, journal: Journal, pause: asyncio.Event) -> JobResult:
        job = journal.record.job.job
        self.runs[job] += 1
        self.running[job] += 1
        self.most_at_once = max(self.most_at_once, self.running[job])
        try:
            await asyncio.sleep(0.05)
        finally:
            self.running[job] -= 1
        return RESULT

    async def forget(self, job: TrainJob) -> None:
        """It keeps nothing."""


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> AsyncIterator[SecuredNats]:
    folder = tmp_path_factory.mktemp("cluster")
    async with secured_nats(folder, 3) as running:
        settings = {
            **servers.stack.environment("provisioner"),
            **running.environment("provisioner"),
            "CHORUS_NATS_REPLICAS": "3",
            "CHORUS_ACK_WAIT": "5",
        }
        provisioned = await asyncio.to_thread(
            subprocess.run,
            [CHORUS, "provision"],
            cwd=folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert provisioned.returncode == 0, provisioned.stderr
        yield running


async def test_every_stream_is_on_all_three(cluster: SecuredNats) -> None:
    async with cluster.connected("operator") as connection:
        for stream in (*STREAMS, *KV_BUCKETS):
            info = await connection.jetstream().stream_info(str(stream.name))
            assert info.config.num_replicas == 3
            assert info.cluster is not None
            assert len(info.cluster.replicas or []) == 2


async def test_a_leader_that_is_killed_under_load_loses_and_doubles_no_job(cluster: SecuredNats) -> None:
    training = Instant()
    with capture_logs() as logs:
        async with ordering(cluster) as orders, a_worker(cluster, training, slots=4):  # type: ignore[arg-type]
            accepted = await submitted_while_a_leader_dies(cluster, orders)
            ended = [await ended_job(orders, job) for job in accepted]
            await until_the_queue_is_empty(cluster)
    async with cluster.connected("operator") as connection:
        told = await ends_told(connection)
    jobs = {job.job for job in accepted}
    assert Counter(ended) == {JobState.SUCCEEDED: JOBS}
    assert len(jobs) == JOBS
    assert set(training.runs) == jobs, "what was submitted again is the same job"
    assert training.most_at_once == 1
    assert set(told) <= jobs, "during an election the news of an end may be lost; the entry says the same"
    assert set(told.values()) == {1}
    lost = [entry for entry in logs if entry["event"].startswith("claim lost")]
    assert not lost, "there is one worker only: a server that lags must not tell it what was"


async def submitted_while_a_leader_dies(cluster: SecuredNats, orders: Orders) -> list[TrainJob]:
    """All jobs; the server that led when they began is killed after a quarter of them, and is back then."""
    numbers = iter(range(JOBS))
    accepted: list[TrainJob] = []

    async def submitter() -> None:
        for _ in numbers:
            accepted.append(await until_accepted(orders, fresh_guild()))

    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(submitter())
        victim = await leader(cluster, TRAIN)
        while len(accepted) < JOBS // 4:
            await asyncio.sleep(0.02)
        victim.child.kill()
        await victim.ended()
        assert len(accepted) < JOBS // 2, "most of the load is still to come"
    await victim.start()
    await victim.until_ready()
    return accepted


async def until_accepted(orders: Orders, guild: str) -> TrainJob:
    """Submit it, and again with the same key where that was not confirmed, as people do."""
    while True:
        try:
            return await orders.submit(guild, key=guild)
        except ChorusError as error:
            assert error.retryable, error
            await asyncio.sleep(0.2)


async def leader(cluster: SecuredNats, stream: str) -> Process:
    """The server that leads a stream."""
    async with cluster.connected("operator") as connection:
        info = await connection.jetstream().stream_info(stream)
    assert info.cluster is not None
    return next(server for server in cluster.servers if server.program.name == info.cluster.leader)


async def ended_job(orders: Orders, job: TrainJob) -> JobState:
    async with asyncio.timeout(WITHIN):
        while not (record := await orders.jobs.get(job.guild, job.job)).state.final:
            await asyncio.sleep(0.05)
    return record.state


async def ends_told(connection: Connection) -> dict[str, int]:
    """How often the end of each job was told, as it is stored."""
    js = connection.jetstream()
    told: Counter[str] = Counter()
    last = (await js.stream_info(EVENTS)).state.last_seq
    for number in range(1, last + 1):
        event = decode(JobEvent, (await js.get_msg(EVENTS, number)).data or b"")
        told[event.job] += event.state.final
    return {job: times for job, times in told.items() if times}


async def until_the_queue_is_empty(cluster: SecuredNats) -> None:
    """An acknowledgement may be lost with the leader: the message comes again, and its job is done."""
    async with cluster.connected("operator") as connection, asyncio.timeout(WITHIN):
        while (await connection.jetstream().stream_info(TRAIN)).state.messages:
            await asyncio.sleep(0.1)
