"""How likely a model holds texts to be, without learning from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from chorus.common.chat import Tokens
from chorus.trainer.backends.packed import Batch, pack
from chorus.trainer.training.packing import Row, rows_of_epoch

TOKENS_AT_ONCE = 2048
"""Of one pass. Without gradients nothing is kept of a layer once the next one has its input: that takes less
memory than a training step of a few hundred tokens, as the ladder's lower rungs have it."""


class Reads(Protocol):
    """What is needed of a model: `chorus.trainer.backends.model.Model`."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def flat(self) -> bool:
        """Whether it wants rows joined into one."""
        ...

    def losses(self, batch: Batch) -> Tensor:
        """(supervised,) fp32: minus the log-probability of each token to be learned, in nats."""
        ...

    def train(self, on: bool) -> None:
        """Switch between learning and evaluating."""
        ...


@dataclass(frozen=True)
class Scores:
    """Of some lessons, in their order; in nats, on the CPU."""

    log_probs: Tensor
    """(lessons,) fp32: of all tokens to be learned in each, summed."""
    tokens: Tensor
    """(lessons,) int64: how many these are."""
    worst: float
    """The least likely token's loss."""


@torch.no_grad()
def score(model: Reads, lessons: Sequence[Tokens], row_tokens: int) -> Scores:
    """Log-probabilities of lessons, packed in rows of `row_tokens`. Leaves the model ready to learn."""
    log_probs, tokens = torch.zeros(len(lessons)), torch.zeros(len(lessons), dtype=torch.int64)
    worst = 0.0
    model.train(False)
    for rows in _passes([len(lesson.ids) for lesson in lessons], row_tokens):
        texts = [[lessons[index] for index in row] for row in rows]
        width = max(row_tokens, *(sum(len(text.ids) for text in row) for row in texts))
        batch = pack(texts, None if model.flat else width).to(model.device)
        losses = model.losses(batch)
        order = [index for row in rows for index in row]
        log_probs[order] = per_lesson(-losses, batch).cpu()
        tokens[order] = torch.bincount(batch.lessons, minlength=batch.count).cpu()
        worst = max(worst, float(losses.max()))
    model.train(True)
    return Scores(log_probs, tokens, worst)


def per_lesson(values: Tensor, batch: Batch) -> Tensor:
    """Sums (lessons in the batch,) of values (supervised,)."""
    return values.new_zeros(batch.count).index_add(0, batch.lessons, values)


def _passes(lengths: Sequence[int], row_tokens: int) -> Iterator[list[Row]]:
    rows = rows_of_epoch(lengths, seed=0, epoch=0, row_tokens=row_tokens)
    size = max(1, TOKENS_AT_ONCE // row_tokens)
    for at in range(0, len(rows), size):
        yield rows[at : at + size]
