"""Twenty trainings, something killed at a random moment of each: all succeed, each once."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.models import ModelRecord, model_key
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.topology import MODELS
from tests.support.chorus import RunningChorus
from tests.support.training import ENDLESS

JOBS = 20
LONGEST = 8.0  # seconds that such a training takes, about
VICTIMS = {
    "the training process": ("chorus.trainer.child",),
    "the trainer": ("chorus.trainer",),
    "nats": ("--config",),
    "s3": ("mini",),
    "inference": ("chorus.inference",),
}


async def kill(chorus: RunningChorus, name: str) -> None:
    """Kill it, as soon as it runs."""
    async with asyncio.timeout(60):
        while True:
            try:
                return os.kill(chorus.pid(*VICTIMS[name]), signal.SIGKILL)
            except (ValueError, ProcessLookupError):  # between two lives
                await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_kill_at_a_random_point_of_each_of_twenty_jobs(chorus: RunningChorus, tmp_path: Path) -> None:
    rng = random.Random(20)
    path = tmp_path / "endless.json"
    path.write_text(ENDLESS)
    victims = list(VICTIMS) * (JOBS // len(VICTIMS))  # none so often that the supervisor gives up
    rng.shuffle(victims)
    for number, name in enumerate(victims):
        line = f"!train file={path} epochs=100 model=hydra-{number}"
        said = asyncio.create_task(asyncio.to_thread(chorus.say, line))
        await asyncio.sleep(rng.uniform(0.5, LONGEST))  # the random point
        await kill(chorus, name)
        shown = "\n".join(await said)
        assert f"✓ hydra-{number}@1 is trained" in shown, (name, shown)
    async with chorus.connected("gateway") as connection:
        models = await open_bucket(connection, MODELS, ModelRecord)
        for number in range(JOBS):
            entry = await models.get(model_key(LOCAL, f"hydra-{number}"))
            assert entry is not None
            assert len(entry.value.versions) == 1
