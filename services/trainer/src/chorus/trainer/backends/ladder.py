"""What to do when memory runs out: compute the same step in smaller pieces.

    fewer rows at a time → activations computed twice (arXiv 1604.06174) → shorter rows → give up

An optimiser step keeps its examples and what its losses are divided by, so the weights after it are those
that more memory would have given, but for rounding. A step down is kept for the rest of the run.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import PositiveInt
from pydantic.dataclasses import dataclass

from chorus.common.errors import InvalidInput
from chorus.trainer.backends.model import Model
from chorus.trainer.training.packing import Row
from chorus.trainer.training.recipe import Recipe

TOKENS_AT_ONCE = {"cpu": 8192, "cuda": 16384}
"""Of the first micro-batches. On a CPU twice or half as many are a tenth slower (measured on the starter);
a GPU is busy with as many."""

SPARE = 0.2  # of a machine's memory, for what an estimate does not know of

CPU_OUT_OF_MEMORY = "can't allocate memory"  # in the RuntimeError of torch's allocator for the CPU

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")  # bytes, or the word `max` (cgroups, version 2)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Rung:
    """How a step is computed, in how small pieces."""

    rows: PositiveInt
    """Of a micro-batch."""
    row_tokens: PositiveInt
    """A row holds no more, unless one example alone does."""
    checkpointing: bool = False
    """Whether activations are computed twice."""


def first_rung(recipe: Recipe, device: torch.device) -> Rung:
    """Where every run begins."""
    return Rung(
        rows=max(1, TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE["cpu"]) // recipe.row_tokens),
        row_tokens=recipe.row_tokens,
        checkpointing=bool(recipe.activation_checkpointing),
    )


def that_fits(rung: Rung, recipe: Recipe, needs: Callable[[Rung], int]) -> Rung:
    """The first rung, from this one down, for which a CPU's memory will do; `needs` estimates bytes.

    A GPU refuses what is too much, and the ladder finds the rung; on a CPU the kernel ends the process.
    """
    most = (1 - SPARE) * machine_memory()
    while rung.rows > 1 and needs(rung) > most:
        rung = replace(rung, rows=rung.rows // 2)
    if needs(rung) > most and recipe.activation_checkpointing is None:
        rung = replace(rung, checkpointing=True)
    return rung


class Ladder:
    """Where a run stands; it only ever goes down."""

    def __init__(self, model: Model, recipe: Recipe, tell: Tell, rung: Rung) -> None:
        self._model = model
        self._may_checkpoint = recipe.activation_checkpointing is not False
        self._tell = tell
        self.rung = rung
        if rung.checkpointing:
            model.checkpoint_activations()

    def step_down(self, rows: Sequence[Row], lengths: Sequence[int]) -> None:
        """Make do with less, for these rows and all that follow, and say so.

        Raises `InvalidInput` where nothing can be made smaller. Nothing may hold on to the failed
        computation: call it outside of the `except`.
        """
        lower = below(self.rung, rows, lengths, may_checkpoint=self._may_checkpoint)
        if lower is None:
            raise InvalidInput(
                "The training does not fit into this machine's memory, not even one example at a time. "
                "Choose fewer max_tokens, method qlora or a smaller base.",
                code="out_of_memory",
                param="max_tokens",
            )
        if lower.checkpointing and not self.rung.checkpointing:
            self._model.checkpoint_activations()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # what is left lies in pieces of the wrong size
        self._tell(_in_words(self.rung, lower))
        self.rung = lower


def below(rung: Rung, rows: Sequence[Row], lengths: Sequence[int], *, may_checkpoint: bool) -> Rung | None:
    """The next rung for a step of these rows, whose examples have these lengths; None at the bottom."""
    rows = narrowed(rows, lengths, rung.row_tokens)
    if (at_once := min(rung.rows, len(rows))) > 1:
        return replace(rung, rows=(at_once + 1) // 2)
    if may_checkpoint and not rung.checkpointing:
        return replace(rung, rows=1, checkpointing=True)
    shared = [sum(lengths[index] for index in row) for row in rows if len(row) > 1]
    return replace(rung, rows=1, row_tokens=max(shared) // 2) if shared else None


def narrowed(rows: Sequence[Row], lengths: Sequence[int], row_tokens: int) -> list[Row]:
    """The same examples in the same order, in rows of at most so many tokens, or of one example."""
    narrow: list[Row] = []
    for row in rows:
        filled = row_tokens
        for index in row:
            if filled + lengths[index] > row_tokens:
                narrow.append([])
                filled = 0
            narrow[-1].append(index)
            filled += lengths[index]
    return narrow


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether this is what the ladder is for."""
    return isinstance(error, torch.OutOfMemoryError) or CPU_OUT_OF_MEMORY in str(error)


def machine_memory() -> int:
    """Bytes that a training can have at most: of the GPU, or of RAM as far as we are allowed to use it."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if CONTAINER_LIMIT.is_file() and (limit := CONTAINER_LIMIT.read_text("ascii").strip()).isdigit():
        return min(memory, int(limit))
    return memory


def _in_words(upper: Rung, lower: Rung) -> str:
    """A step down, for people."""
    if lower.checkpointing and not upper.checkpointing:
        how = "activations are computed twice from here on, which takes a third longer"
    elif lower.row_tokens < upper.row_tokens:
        how = f"rows have at most {lower.row_tokens:,} tokens from here on"
    else:
        how = f"{lower.rows} {'row' if lower.rows == 1 else 'rows'} at a time from here on"
    return f"Memory ran out: {how}. What a step learns from stays the same."
