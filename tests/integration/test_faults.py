"""What dies under a running job: it still ends `succeeded`, once, with one model version.

The trainer and its training process are killed in test_trainer.py; here are the servers, and a worker
that is frozen for so long that another one has its job when it wakes.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import ChorusError
from chorus.common.local.process import Process
from tests.support.servers import ACK_WAIT, Servers, running_servers
from tests.support.training import ENDLESS, Gateway, a_gateway, a_trainer


@pytest.fixture(scope="module")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Servers of our own: these die."""
    async with running_servers(tmp_path_factory.mktemp("mortal")) as running:
        yield running


@pytest.fixture
async def gateway(mortal: Servers, guild: str) -> AsyncIterator[Gateway]:
    async with a_gateway(mortal, guild) as gateway:
        yield gateway


async def killed(process: Process) -> None:
    """SIGKILL, and really gone."""
    process.child.kill()
    await process.ended()


async def started_again(process: Process) -> None:
    await process.start()
    await process.until_ready()


async def succeeded_once(gateway: Gateway, job: JobRecord) -> JobRecord:
    """The job's entry, once it has ended as it should."""
    done = await gateway.until(job, JobState.SUCCEEDED, JobState.FAILED)
    assert done.state is JobState.SUCCEEDED, done.error
    model = await gateway.model()
    assert model is not None
    assert [version.job for version in model.versions] == [job.job.job]
    return done


async def test_nats_is_killed_under_a_job(gateway: Gateway, mortal: Servers, tmp_path: Path) -> None:
    async with a_trainer(mortal, tmp_path):
        job = await gateway.submit(ENDLESS, epochs=60)
        await gateway.until(job, learning=True)
        await killed(mortal.nats)
        with pytest.raises(ChorusError) as refused:
            await gateway.jobs.get(gateway.guild, job.job.job)
        assert refused.value.code == "state_unavailable"
        await started_again(mortal.nats)
        done = await succeeded_once(gateway, job)
    assert done.attempt == 1, "the training goes on meanwhile"


async def test_s3_is_killed_under_a_job(gateway: Gateway, mortal: Servers, tmp_path: Path) -> None:
    async with a_trainer(mortal, tmp_path):
        job = await gateway.submit(ENDLESS, epochs=60)
        await gateway.until(job, learning=True)
        await killed(mortal.s3)
        with pytest.raises(ChorusError) as refused:
            await gateway.dataset()
        assert refused.value.code == "objects_unavailable"
        await gateway.until(job, stage="publishing")
        await started_again(mortal.s3)
        done = await succeeded_once(gateway, job)
    assert done.attempt == 1


async def test_a_worker_that_was_frozen_commits_nothing(
    gateway: Gateway, mortal: Servers, tmp_path: Path
) -> None:
    async with a_trainer(mortal, tmp_path, "frozen") as frozen:
        job = await gateway.submit(ENDLESS, epochs=60)
        held = await gateway.until(job, learning=True)
        os.kill(frozen.child.pid, signal.SIGSTOP)
        async with a_trainer(mortal, tmp_path, "second"):
            taken = await until_taken_over(gateway, held)
            os.kill(frozen.child.pid, signal.SIGCONT)
            done = await succeeded_once(gateway, job)
            async with asyncio.timeout(10 * ACK_WAIT):
                while "claim lost" not in frozen.log.read_text():
                    await asyncio.sleep(0.1)
    assert (done.claims, done.worker) == (taken.claims, taken.worker) != (held.claims, held.worker)


async def until_taken_over(gateway: Gateway, held: JobRecord) -> JobRecord:
    """Wait until another worker has the job."""
    async with asyncio.timeout(60):
        while True:
            now = await gateway.jobs.get(gateway.guild, held.job.job)
            if now.claims > held.claims:
                return now
            await asyncio.sleep(0.1)
