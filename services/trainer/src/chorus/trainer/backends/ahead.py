"""The steps of a run, in order, and their batches, made ready while the step before is computed."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count

from torch import Tensor

from chorus.trainer.backends.ladder import Rung, narrowed
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.packed import Batch, pack
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.training.lessons import Group
from chorus.trainer.training.packing import Row, rows_of_epoch, steps_of_epoch
from chorus.trainer.training.recipe import Recipe

STEPS_AHEAD = 2


@dataclass(frozen=True)
class RowsOfStep:
    """What one optimiser step learns from: rows of indices of groups."""

    number: int
    """From 0."""
    epoch: int
    """From 1."""
    ends_epoch: bool
    rows: list[Row]

    @property
    def indices(self) -> list[int]:
        """Of all its groups."""
        return [index for row in self.rows for index in row]


@dataclass(frozen=True)
class MicroBatch:
    """As much of a step as is computed at once."""

    batch: Batch
    indices: list[int]
    """Of its groups, as they lie in it."""


@dataclass(frozen=True)
class Ready:
    """This rank's share of a step, as a rung of the ladder has it."""

    step: RowsOfStep
    rung: Rung
    batches: list[MicroBatch]


def planned(recipe: Recipe, lengths: Sequence[int], *, done: int) -> Iterator[RowsOfStep]:
    """The run's steps after the first `done`. A pure function of the recipe and the groups' lengths.

    They are as many as the recipe has, also where that was an estimate: then the last epoch ends early, or
    has some steps of another shuffle.
    """
    number = 0
    for epoch in count():
        rows = rows_of_epoch(lengths, seed=recipe.seed, epoch=epoch, row_tokens=recipe.row_tokens)
        steps = steps_of_epoch(rows, recipe.rows_per_step)
        for at, of_step in enumerate(steps, start=1):
            if number == recipe.steps:
                return
            if number >= done:
                yield RowsOfStep(number, min(epoch + 1, recipe.epochs), at == len(steps), of_step)
            number += 1


def laid_out(
    step: RowsOfStep, rung: Rung, groups: Sequence[Group], lengths: Sequence[int], model: Model, ranks: Ranks
) -> Ready:
    """Pack this rank's rows into micro-batches on the model's device."""
    rows = narrowed(ranks.share(step.rows), lengths, rung.row_tokens)
    batches: list[MicroBatch] = []
    for at in range(0, len(rows), rung.rows):
        part = rows[at : at + rung.rows]
        width = max(rung.row_tokens, *(sum(lengths[index] for index in row) for row in part))
        tokens = [[lesson.tokens for index in row for lesson in groups[index]] for row in part]
        batch = pack(tokens, None if model.flat else width)
        batch = _pinned(batch).to(model.device) if model.device.type == "cuda" else batch
        batches.append(MicroBatch(batch, [index for row in part for index in row]))
    return Ready(step, rung, batches)


def _pinned(batch: Batch) -> Batch:
    """In memory from which a GPU fetches it by itself, while both go on."""
    return replace(
        batch, **{n: each.pin_memory() for n, each in vars(batch).items() if isinstance(each, Tensor)}
    )


def ahead(steps: Iterable[RowsOfStep], make: Callable[[RowsOfStep], Ready]) -> Generator[Ready]:
    """Each step made ready in a thread, a few before their turn; in order."""
    waiting: deque[Future[Ready]] = deque()
    with ThreadPoolExecutor(1, "ahead") as thread:
        for step in steps:
            waiting.append(thread.submit(make, step))
            if len(waiting) > STEPS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
