"""An attempt at a training whose words are deleted meanwhile: what it has stored is its last."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.attempt import Attempt
from chorus.trainer.training.checkpoints import Checkpoints
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.process import Start
from chorus.trainer.training.report import Order, Paused, Report, Saved, Snapshot, Stage

WITHDRAWN = InvalidInput("The data club@3 is gone.", code="dataset_withdrawn")


class AJournal:
    """Of a job without a checkpoint; nobody reads it."""

    class record:  # noqa: N801 - it stands for a field
        checkpoint = None

    async def stage(self, text: str) -> None:
        pass


class Stored:
    """Keeps which steps were stored; there is nothing to go on from."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    async def whole(self, into: Path) -> AsyncGenerator[Saved]:
        for nothing in ():
            yield nothing

    async def store(self, saved: Saved) -> None:
        self.steps.append(saved.step)


def a_child(told: Sequence[Report]) -> object:
    """A process that tells this much, and goes on once its checkpoint is stored, for long."""

    class Process:
        async def pause(self) -> None:
            pass

        async def reports(self) -> AsyncIterator[Report]:
            for report in told:
                yield report
            for _ in range(10_000):
                yield Stage(text="learning")
                await asyncio.sleep(0)

    @asynccontextmanager
    async def process(order: Order, folder: Path) -> AsyncGenerator[Process]:
        yield Process()

    return process


@pytest.mark.parametrize("paused", [False, True])
async def test_a_job_ends_with_the_first_checkpoint_after_its_data_is_gone(
    tmp_path: Path, paused: bool
) -> None:
    place = tmp_path / "step-7"
    place.mkdir()
    told: list[Report] = [Saved(step=7, folder=str(place)), *([Paused(step=7)] if paused else [])]
    stored = Stored()

    async def show(snapshot: Snapshot) -> None:
        pass

    async def refusal() -> InvalidInput | None:
        return WITHDRAWN if stored.steps else None

    run = Attempt(
        cast(Journal, AJournal()),
        cast(Checkpoints, stored),
        show,
        refusal,
        TrainerMetrics(CollectorRegistry()),
        cast(Start, a_child(told)),
    ).run
    order = Order(
        base="starter",
        examples=[],
        out="out",
        checkpoints="checkpoints",
        hyperparameters=Hyperparameters(),
    )
    with pytest.raises(InvalidInput) as refused:
        await run(order, tmp_path, asyncio.Event())
    assert refused.value.code == "dataset_withdrawn"
    assert stored.steps == [7]
