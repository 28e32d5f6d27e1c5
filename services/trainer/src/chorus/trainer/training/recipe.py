"""Every hyper-parameter of a run, chosen from what was wished for, the data, and the base model. Pure.

The rules and the figures behind them are in docs/training.md.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeVar

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.training.packing import rows_of_epoch

EPOCHS = 3  # passes over enough data
STEPS_AT_LEAST = 250  # optimiser steps: small data is passed over more often until it has had as many
EPOCHS_AT_MOST = 400
DEFAULT_RANK, DEFAULT_ALPHA = 16, 32.0
STEP_TOKENS = (512, 16384)  # least and most tokens of a step: adapters like small batches
WHOLE_UP_TO = 4096  # tokens of data that each step takes whole: nothing is learned at the cost of the rest
ROW_TOKENS = 256  # of a row; an example that is longer has one to itself, and widens no other
COUNTED_UP_TO = 300_000  # examples of all epochs, laid into rows to count their steps: 0.1 s
SFT_BESIDE = 0.3  # weight of plain learning beside preferences: without it, DPO forgets (ADR 0016)
PATIENCE = 3  # benchmarks
ENOUGH_LABELS, MANY_LABELS = 50, 500  # unwanted examples from which preferences are learned, and by KTO

FULL_RATE = 0.1  # full fine-tuning wants a tenth of an adapter's learning rate ("LoRA Without Regret")
PREFERENCE_RATE = 0.25  # of the same: preferences are a correction, not a new lesson

Objective = Literal["sft", "kto", "apo", "dpo"]


@dataclass(frozen=True)
class Data:
    """What the recipe needs to know of the data. Lengths in tokens."""

    lengths: Sequence[int]
    """Of the examples to be learned from, wanted and unwanted."""
    unwanted: int = 0
    """How many of them are not to be imitated."""
    corrections: int = 0
    """Pairs of a wanted and an unwanted reply to the same words."""


@dataclass(frozen=True)
class Recipe:
    """What is done, to the last figure. Goes into the manifest as it is."""

    method: Literal["lora", "qlora", "full"]
    objective: Objective
    rank: int
    """0 where there is no adapter."""
    alpha: float
    """Scale of the adapter: its output counts alpha / rank."""
    learning_rate: float
    """At its peak; warms up first, and falls in a cosine to a twentieth."""
    warmup: float
    """Share of the steps in which it rises."""
    weight_decay: float
    max_grad_norm: float
    epochs: int
    steps: int
    row_tokens: int
    rows_per_step: int
    beta: float
    sft_weight: float
    patience: int
    """Benchmarks without a better loss until it ends; 0 never does."""
    activation_checkpointing: bool | None
    """None turns it on when memory runs out."""
    compile: bool | None
    """None turns it on where it pays."""
    max_seconds: float | None
    seed: int

    def facts(self) -> dict[str, float | int | str | bool | None]:
        """For the manifest."""
        return asdict(self)

    def learning_rate_at(self, step: int) -> float:
        """A pure function of the step."""
        warm_up = min(1.0, (step + 1) / max(1, round(self.steps * self.warmup)))
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * warm_up * (0.05 + 0.95 * cosine)


def choose(wishes: Hyperparameters, data: Data, *, hidden_size: int) -> Recipe:
    """The recipe for this data on a base of this width.

    The learning rate follows from the width: 5e-4 x (2000 / hidden) ** 0.78 (Thinking Machines, "LoRA
    Without Regret", 2025); on the starter, half to twice of it learns as well (docs/training.md).
    """
    objective = objective_of(wishes, data)
    rows = rows_of_epoch(data.lengths, seed=wishes.seed, epoch=0, row_tokens=ROW_TOKENS)
    rows_per_step = _rows_per_step(wishes, data, len(rows))
    steps_per_epoch = max(1, math.ceil(len(rows) / rows_per_step))
    epochs = wishes.epochs if wishes.epochs != "auto" else _epochs(steps_per_epoch)
    adapter = wishes.method != "full"
    return Recipe(
        method=wishes.method,
        objective=objective,
        rank=(_or(wishes.rank, DEFAULT_RANK)) if adapter else 0,
        alpha=_or(wishes.alpha, DEFAULT_ALPHA),
        learning_rate=_or(wishes.learning_rate, _learning_rate(objective, hidden_size, adapter=adapter)),
        warmup=wishes.warmup,
        weight_decay=wishes.weight_decay,
        max_grad_norm=wishes.max_grad_norm,
        epochs=epochs,
        steps=_steps(data.lengths, epochs, rows_per_step, seed=wishes.seed) or epochs * steps_per_epoch,
        row_tokens=ROW_TOKENS,
        rows_per_step=rows_per_step,
        beta=wishes.beta,
        sft_weight=1.0 if objective == "sft" else _or(wishes.sft_weight, SFT_BESIDE),
        patience=_or(wishes.patience, PATIENCE),
        activation_checkpointing=None
        if wishes.activation_checkpointing == "auto"
        else wishes.activation_checkpointing,
        compile=None if wishes.compile == "auto" else wishes.compile,
        max_seconds=wishes.max_seconds,
        seed=wishes.seed,
    )


def objective_of(wishes: Hyperparameters, data: Data) -> Objective:
    """Few labels say too little for preferences: then the wanted replies are learned, and no others.

    `dpo` learns from corrections alone; where many more replies are unwanted, `apo` and `kto` learn from all.
    """
    if wishes.objective != "auto":
        return wishes.objective
    if data.unwanted - data.corrections < ENOUGH_LABELS:
        return "dpo" if data.corrections else "sft"
    return "kto" if data.unwanted >= MANY_LABELS else "apo"


def _rows_per_step(wishes: Hyperparameters, data: Data, rows: int) -> int:
    """Rows that have so many tokens together, if they are average ones of these."""
    tokens = sum(data.lengths)
    if wishes.batch_tokens != "auto":
        wanted = wishes.batch_tokens
    elif tokens <= WHOLE_UP_TO:
        return len(data.lengths)  # whatever the shuffle, they are no more rows
    else:
        least, most = STEP_TOKENS
        epochs = EPOCHS if wishes.epochs == "auto" else wishes.epochs
        wanted = min(max(epochs * tokens // STEPS_AT_LEAST, least), most)
    return max(1, round(wanted * rows / max(1, tokens)))


def _epochs(steps_per_epoch: int) -> int:
    return min(max(EPOCHS, math.ceil(STEPS_AT_LEAST / steps_per_epoch)), EPOCHS_AT_MOST)


def _steps(lengths: Sequence[int], epochs: int, rows_per_step: int, *, seed: int) -> int | None:
    """Of all epochs: each shuffle fills its rows otherwise. None where counting would take long."""
    if not lengths or len(lengths) * epochs > COUNTED_UP_TO:
        return None
    shuffled = (
        rows_of_epoch(lengths, seed=seed, epoch=epoch, row_tokens=ROW_TOKENS) for epoch in range(epochs)
    )
    return sum(math.ceil(len(rows) / rows_per_step) for rows in shuffled)


def _learning_rate(objective: Objective, hidden_size: int, *, adapter: bool) -> float:
    rate = 5e-4 * (2000 / hidden_size) ** 0.78
    rate *= 1.0 if adapter else FULL_RATE
    return rate if objective == "sft" else rate * PREFERENCE_RATE


Value = TypeVar("Value", bound=float)


def _or(wish: Literal["auto"] | Value, otherwise: Value) -> Value:
    return otherwise if wish == "auto" else wish
