"""Twenty trainings, something killed at a random moment of each: all succeed, once, as if nothing was."""

import asyncio
import csv
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.topology import JOBS, MODELS
from chorus.common.contracts.training import JobRecord, JobResult, JobState
from chorus.common.objects import ObjectStore, open_store
from chorus.common.settings import PREFIX, CommonSettings
from tests.support.chorus import RunningChorus, chorus_up
from tests.support.servers import ACK_WAIT
from tests.support.training import ENDLESS

JOBS_RUN = 20
LONGEST = 8.0  # seconds that such a training takes, about
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


async def results(connection: Connection) -> dict[str, JobResult]:
    """What came of each job, by the name of its model."""
    jobs = [entry.value for entry in await (await open_bucket(connection, JOBS, JobRecord)).entries()]
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    return {job.job.model: job.result for job in jobs if job.result}


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
    wishes = f"!train file={path} epochs=300 seed=7 model="
    shown = "\n".join(await asyncio.to_thread(hydra.say, f"{wishes}undisturbed"))
    assert "✓ undisturbed@1 is trained" in shown
    victims = list(VICTIMS) * (JOBS_RUN // len(VICTIMS))  # none so often that the supervisor gives up
    rng.shuffle(victims)
    for number, name in enumerate(victims):
        said = asyncio.create_task(asyncio.to_thread(hydra.say, f"{wishes}hydra-{number}"))
        await asyncio.sleep(rng.uniform(0.5, LONGEST))  # the random point
        await kill(hydra, name)
        shown = "\n".join(await said)
        assert f"✓ hydra-{number}@1 is trained" in shown, (name, shown)

    given = hydra.environment("gateway")
    settings = CommonSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})
    store = open_store(settings)
    async with hydra.connected("gateway") as connection:
        done = await results(connection)
        models = await open_bucket(connection, MODELS, ModelRecord)
        undisturbed = done.pop("undisturbed")
        expected = await losses(store, undisturbed)
        assert len(done) == JOBS_RUN
        for model, result in done.items():
            entry = await models.get(model_key(LOCAL, model))
            assert entry is not None
            assert len(entry.value.versions) == 1
            assert abs(result.loss_after - undisturbed.loss_after) <= ALIKE
            assert (await losses(store, result)).keys() == expected.keys()
