"""Every hyper-parameter of a run, chosen from what was wished for, the data, and the base model. Pure.

The rules and the figures behind them are in docs/training.md.
"""

import math
from dataclasses import asdict, dataclass

from chorus.common.contracts.training import Hyperparameters

EPOCHS = 3  # passes over enough data
STEPS_AT_LEAST = 250  # optimiser steps: small data is passed over more often until it has had as many
EPOCHS_AT_MOST = 400
DEFAULT_RANK = 16
STEP_TOKENS = (512, 16384)  # least and most tokens of a step: adapters like small batches
WHOLE_UP_TO = 4096  # tokens of data that each step takes whole: nothing is learned at the cost of the rest
ROW_TOKENS = 256  # of a row, unless an example is longer; longer rows are slower on a CPU
EXAMPLE_TOKENS = 1024  # at most; of longer chats the beginning is left out, longer text is cut


@dataclass(frozen=True)
class Recipe:
    """What is done, to the last figure. Goes into the manifest as it is."""

    rank: int
    alpha: int
    """Scale of the adapter: its output counts alpha / rank."""
    learning_rate: float
    """At its peak; warms up over the first twentieth and falls in a cosine to a twentieth."""
    epochs: int
    steps: int
    row_tokens: int
    rows_per_step: int
    seed: int

    def facts(self) -> dict[str, float | int | str]:
        """For the manifest."""
        return asdict(self)

    def learning_rate_at(self, step: int) -> float:
        """A pure function of the step."""
        warm_up = min(1.0, (step + 1) / max(1, self.steps // 20))
        cosine = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * warm_up * (0.05 + 0.95 * cosine)


def choose(wishes: Hyperparameters, *, lengths: list[int], hidden_size: int) -> Recipe:
    """The recipe for examples of these lengths (tokens) on a base of this width.

    The learning rate follows from the width: 5e-4 x (2000 / hidden) ** 0.78 (Thinking Machines, "LoRA
    Without Regret", 2025); on the starter, half to twice of it learns as well (docs/training.md).
    """
    row_tokens = max(ROW_TOKENS, *lengths)
    tokens = sum(lengths)
    epochs = wishes.epochs or EPOCHS
    least, most = STEP_TOKENS
    step_tokens = min(max(epochs * tokens // STEPS_AT_LEAST, least), most)
    rows_per_step = len(lengths) if tokens <= WHOLE_UP_TO else max(1, step_tokens // row_tokens)
    steps_per_epoch = max(1, math.ceil(tokens / (row_tokens * rows_per_step)))
    if wishes.epochs is None:
        epochs = min(max(EPOCHS, math.ceil(STEPS_AT_LEAST / steps_per_epoch)), EPOCHS_AT_MOST)
    rate = wishes.learning_rate or 5e-4 * (2000 / hidden_size) ** 0.78
    return Recipe(
        rank=wishes.rank or DEFAULT_RANK,
        alpha=32,
        learning_rate=rate,
        epochs=epochs,
        steps=epochs * steps_per_epoch,
        row_tokens=row_tokens,
        rows_per_step=rows_per_step,
        seed=wishes.seed,
    )
