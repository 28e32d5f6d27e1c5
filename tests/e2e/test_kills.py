"""Twenty trainings, something killed at a random moment of each: all succeed, once, as if nothing was."""

import asyncio
import csv
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.topology import JOBS, MODELS
from chorus.common.contracts.training import JobRecord, JobResult, JobState
from chorus.common.errors import Unavailable
from chorus.common.objects import ObjectStore, open_store
from chorus.common.settings import PREFIX, CommonSettings
from tests.support.chorus import RunningChorus, chorus_up
from tests.support.servers import ACK_WAIT
from tests.support.training import ENDLESS

JOBS_RUN = 20
ALIKE = 1e-4  # nats: between two trainings with the same seed
VICTIMS = {
    "the training process": ("chorus.trainer.child",),
    "the trainer": ("chorus.trainer",),
    "nats": ("--config",),
    "s3": ("mini",),
    "inference": ("chorus.inference",),
}


@pytest.fixture
def hydra(tmp_path: Path) -> Iterator[RunningChorus]:
    """All of Chorus, with a checkpoint a second, and nothing but what is killed here."""
    with chorus_up(tmp_path, CHORUS_ACK_WAIT=str(ACK_WAIT), CHORUS_CHECKPOINT_EVERY="1") as running:
        yield running


async def kill(chorus: RunningChorus, name: str) -> None:
    """Kill it, as soon as it runs."""
    async with asyncio.timeout(60):
        while True:
            try:
                return os.kill(chorus.pid(*VICTIMS[name]), signal.SIGKILL)
            except (ValueError, ProcessLookupError):  # between two lives
                await asyncio.sleep(0.05)


async def trained(chorus: RunningChorus, path: Path, model: str) -> None:
    """Type a training, and wait until the console says that it is done."""
    line = f"!train file={path} epochs=300 seed=7 model={model}"
    shown = "\n".join(await asyncio.to_thread(chorus.say, line))
    assert f"✓ {model}@1 is trained" in shown, shown


async def job_of(jobs: Bucket[JobRecord], model: str) -> JobRecord:
    """The job that makes a model, as soon as there is one: its data is there, and its message is sent."""
    async with asyncio.timeout(120):
        while True:
            with suppress(Unavailable):
                for entry in await jobs.entries(f"{LOCAL}."):
                    if entry.value.job.model == model:
                        return entry.value
            await asyncio.sleep(0.05)


def settings_of(chorus: RunningChorus) -> CommonSettings:
    given = chorus.environment("gateway")
    return CommonSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})


async def losses(store: ObjectStore, result: JobResult) -> dict[int, float]:
    """The loss log, by step; a step that is there twice is an error."""
    assert result.losses is not None
    rows = list(csv.DictReader((await store.get(result.losses)).decode().splitlines()))
    by_step = {int(row["step"]): float(row["loss"]) for row in rows}
    assert list(by_step) == list(range(1, result.steps + 1))
    assert len(rows) == len(by_step)
    return by_step


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_kill_at_a_random_point_of_each_of_twenty_jobs(hydra: RunningChorus, tmp_path: Path) -> None:
    rng = random.Random(20)
    path = tmp_path / "endless.json"
    path.write_text(ENDLESS)
    victims = list(VICTIMS) * (JOBS_RUN // len(VICTIMS))  # none so often that the supervisor gives up
    rng.shuffle(victims)
    async with hydra.connected("gateway") as connection:
        jobs = await open_bucket(connection, JOBS, JobRecord)
        await trained(hydra, path, "undisturbed")
        undisturbed = (await job_of(jobs, "undisturbed")).result
        assert undisturbed is not None
        for number, victim in enumerate(victims):
            said = asyncio.create_task(trained(hydra, path, f"hydra-{number}"))
            await job_of(jobs, f"hydra-{number}")
            await asyncio.sleep(rng.uniform(0, undisturbed.seconds))  # the random point
            await kill(hydra, victim)
            await said

        store = open_store(settings_of(hydra))
        models = await open_bucket(connection, MODELS, ModelRecord)
        expected = await losses(store, undisturbed)
        for number in range(JOBS_RUN):
            done = await job_of(jobs, f"hydra-{number}")
            assert done.state is JobState.SUCCEEDED
            assert done.result is not None
            assert abs(done.result.loss_after - undisturbed.loss_after) <= ALIKE
            assert (await losses(store, done.result)).keys() == expected.keys()
            entry = await models.get(model_key(LOCAL, f"hydra-{number}"))
            assert entry is not None
            assert len(entry.value.versions) == 1
