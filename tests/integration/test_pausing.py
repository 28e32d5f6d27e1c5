"""Pausing on real servers: a checkpoint, a free slot, a free place in the queue; then on, where it was."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.storage import CHECKPOINTS
from chorus.common.contracts.topology import TRAIN
from chorus.common.contracts.training import JobState, job_subject
from chorus.common.local.process import Process
from tests.support.servers import Servers
from tests.support.training import ENDLESS, Gateway, a_trainer, learned_steps

STEPS = 150  # some seconds; each epoch of this data is one


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """One trainer, with one slot, that makes no checkpoints of its own accord."""
    folder = tmp_path_factory.mktemp("pausing")
    async with a_trainer(servers, folder, CHORUS_CHECKPOINT_EVERY="3600") as process:
        yield process


async def until_taken(servers: Servers, guild: str, places: int) -> None:
    """Wait until the guild has so many messages in the queue."""
    async with asyncio.timeout(20), servers.connected("operator") as connection:
        while True:
            info = await connection.jetstream().stream_info(TRAIN, subjects_filter=job_subject(guild))
            if (info.state.subjects or {}).get(job_subject(guild), 0) == places:
                return
            await asyncio.sleep(0.05)


async def test_a_paused_job_makes_room_and_goes_on_where_it_was(gateway: Gateway, servers: Servers) -> None:
    # --- one runs, the other waits, and is paused and resumed while it waits --------------------------
    data = [await gateway.dataset()]
    first = await gateway.submit(ENDLESS, epochs=STEPS)
    await gateway.until(first, learning=True)
    second = await gateway.jobs.submit(
        data, "other", Hyperparameters(epochs=1), submitted_by="42", key="second"
    )
    assert (await gateway.jobs.pause(gateway.guild, second.job.job)).state is JobState.PAUSED
    await until_taken(servers, gateway.guild, 1)
    again = await gateway.jobs.resume(gateway.guild, second.job.job)
    assert (again.state, again.published) == (JobState.QUEUED, 1)

    # --- the first is paused, and the second has its slot ---------------------------------------------
    assert (await gateway.jobs.pause(gateway.guild, first.job.job)).state is JobState.PAUSING
    await gateway.until(first, JobState.PAUSED)
    paused = await gateway.jobs.get(gateway.guild, first.job.job)
    assert paused.worker is None
    assert paused.checkpoint is not None, "it has saved what it did"
    assert 0 < paused.checkpoint.step < STEPS
    await gateway.until(second, JobState.SUCCEEDED)
    await until_taken(servers, gateway.guild, 0)

    # --- the first goes on ----------------------------------------------------------------------------
    await gateway.jobs.resume(gateway.guild, first.job.job)
    done = await gateway.until(first, JobState.SUCCEEDED)
    assert done.result is not None
    assert done.result.seconds > paused.seconds > 0
    assert f"going on from step {paused.checkpoint.step}" in await gateway.log(first)
    assert await learned_steps(servers.store(), done) == list(range(1, done.result.steps + 1))
    async with asyncio.timeout(20):  # they go after its end is written down
        while await servers.store().list(CHECKPOINTS, f"{gateway.guild}/{first.job.job}/"):
            await asyncio.sleep(0.05)
