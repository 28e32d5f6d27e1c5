"""Examples laid end to end: what one forward pass is given.

Each example has positions that start from 0, and nothing is predicted across the border of two examples. That
no example sees another is the attention's part (`attention.py`, docs/adr/0015-packing-and-attention.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from chorus.common.chat import Tokens

IGNORED = -100
"""Cross-entropy's mark for a position without a target."""

FILL = 64
"""Flat batches have a multiple of so many tokens. A CPU prepares its products anew for each length that it
has not seen (0.6 ms each, some thirty a batch), and a GPU wants whole tiles."""

Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Packed examples: (rows, row_tokens), or (1, tokens) in the flat layout. int64, but for the borders."""

    ids: Tensor
    positions: Tensor
    """Of each token in its own example."""
    targets: Tensor
    """The token that comes next, or IGNORED."""
    learned: Tensor
    """(supervised,): where the targets are, counted through all rows. Known without asking the GPU."""
    lessons: Tensor
    """(supervised,): for each of them the number of its lesson in this batch."""
    count: int
    """Lessons."""
    tokens: int
    """Real ones, without padding."""
    borders: Tensor | None
    """Flat layout: int32, where each example starts, padding among them, and where the last one ends."""
    longest: int
    """At least the tokens of the longest example."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        if self.ids.device == device:
            return self
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in tensors.items()})


def pack(rows: Sequence[Sequence[Tokens]], row_tokens: int | None) -> Batch:
    """Lay the examples of each row end to end, and fill up with padding: an example that teaches nothing.

    Args:
        rows: examples that have at least one token each.
        row_tokens: length of a row. None makes one flat row of all examples, filled up to a multiple of FILL.
    """
    examples = list(chain.from_iterable(rows))
    lengths = np.array([len(example.ids) for example in examples], dtype=np.int64)
    ends = lengths.cumsum()
    tokens = int(ends[-1])
    ids = np.fromiter(chain.from_iterable(e.ids for e in examples), np.int64, tokens)
    learn = np.fromiter(chain.from_iterable(e.learn for e in examples), np.bool_, tokens)
    positions = np.arange(tokens) - np.repeat(ends - lengths, lengths)
    targets = np.full(tokens, IGNORED)
    targets[:-1] = np.where(learn[1:], ids[1:], IGNORED)
    targets[ends - 1] = IGNORED
    (learned,) = np.nonzero(targets != IGNORED)
    if row_tokens is None:
        filled, shape = np.array([tokens]), (1, -(-tokens // FILL) * FILL)
        borders = torch.from_numpy(np.unique([0, *ends, shape[1]]).astype(np.int32))
    else:
        filled, shape = np.array([sum(len(e.ids) for e in row) for row in rows]), (len(rows), row_tokens)
        borders = None
    place = _places(filled, shape[1])
    return Batch(
        ids=_spread(ids, place, np.zeros(shape)),
        positions=_spread(positions, place, np.arange(shape[1]) - filled[:, None]),
        targets=_spread(targets, place, np.full(shape, IGNORED)),
        learned=torch.from_numpy(place[learned]),
        lessons=torch.from_numpy(np.repeat(np.arange(len(examples)), lengths)[learned]),
        count=len(examples),
        tokens=tokens,
        borders=borders,
        longest=max(int(lengths.max()), FILL),
    )


def _places(filled: Array, row_tokens: int) -> Array:
    """Where each token goes, counted through all rows, if row r begins with `filled[r]` tokens."""
    padding = row_tokens - filled
    return np.arange(int(filled.sum())) + np.repeat(padding.cumsum() - padding, filled)


def _spread(values: Array, place: Array, padding: npt.NDArray[np.generic]) -> Tensor:
    spread = padding.astype(np.int64)
    spread.ravel()[place] = values
    return torch.from_numpy(spread)
