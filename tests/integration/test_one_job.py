"""A worker that is started for one job, as Kubernetes does: the job's end is the end of the process."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chorus.common.contracts.topology import TRAIN
from chorus.common.contracts.training import JobState
from chorus.common.errors import NotFound
from chorus.common.local.process import Process
from tests.support.queue import in_queue
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_gateway, a_trainer, on_a_port_of_its_own


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """One that answers about data, and takes no jobs."""
    async with a_trainer(servers, tmp_path_factory.mktemp("data"), CHORUS_ROLE="datasets") as process:
        yield process


@asynccontextmanager
async def once(servers: Servers, folder: Path, **environment: str) -> AsyncIterator[Process]:
    """`python -m chorus.trainer --once`."""
    program = on_a_port_of_its_own(servers.stack.service("trainer"))
    command = [*program.command, "--once"]
    environment = {**program.environment, **environment}
    process = Process(replace(program, command=command, environment=environment), folder / "once.log")
    await process.start()
    try:
        yield process
    finally:
        await process.stop(20.0)


async def empty(servers: Servers) -> None:
    async with servers.connected("provisioner") as connection:
        await connection.jetstream().purge_stream(TRAIN)


async def exit_code(process: Process) -> int:
    async with asyncio.timeout(60):
        return await process.child.wait()


async def test_one_job_ends_it_and_the_next_one_stays_in_the_queue(
    servers: Servers, guild: str, tmp_path: Path
) -> None:
    async with a_gateway(servers, guild) as gateway:
        first, second = await gateway.by_hand(), await gateway.by_hand()  # their data are nobody's: they fail
        async with once(servers, tmp_path, CHORUS_JOB_SLOTS="2") as process:
            assert await exit_code(process) == 0
        assert (await gateway.jobs.get(guild, first.job)).state is JobState.FAILED
        with pytest.raises(NotFound):
            await gateway.jobs.get(guild, second.job)
        assert len(await in_queue(servers, guild)) == 1
    await empty(servers)


@pytest.mark.slow
async def test_it_does_one_job_and_leaves_the_next_one_in_the_queue(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    first, second = await gateway.submit(epochs=1), await gateway.submit(epochs=1)
    async with once(servers, tmp_path, CHORUS_JOB_SLOTS="2", CHORUS_PARITY_WITHIN="1") as process:
        assert await exit_code(process) == 0
    assert (await gateway.jobs.get(gateway.guild, first.job.job)).state is JobState.SUCCEEDED
    left = await gateway.jobs.get(gateway.guild, second.job.job)
    assert (left.state, left.claims) == (JobState.QUEUED, 0)
    await empty(servers)


@pytest.mark.slow
async def test_a_stopped_one_hands_its_job_back_and_the_next_one_goes_on_until_it_is_cancelled(
    gateway: Gateway, servers: Servers, tmp_path: Path
) -> None:
    job = await gateway.submit(ENDLESS, epochs=1000)
    async with once(servers, tmp_path) as process:
        await gateway.until(job, learning=True)
        process.child.send_signal(signal.SIGTERM)
        assert await exit_code(process) == 0
    handed_back = await gateway.jobs.get(gateway.guild, job.job.job)
    assert handed_back.state is JobState.QUEUED
    assert handed_back.checkpoint is not None

    async with once(servers, tmp_path) as process:
        await gateway.until(job, learning=True)
        await gateway.jobs.cancel(gateway.guild, job.job.job)
        assert await exit_code(process) == 0
    assert (await gateway.jobs.get(gateway.guild, job.job.job)).state is JobState.CANCELLED
