"""LoRA on CPUs by plain matrix products: one pair for each adapter that is in the batch.

For LoRA on CPUs vLLM copies an adapter's weights once per token (`weights[indices]`), converts the copies
to float32, and multiplies each token with its own copy. It does so at full `max_lora_rank`, and for the
vocabulary, too, whose adapter is nearly always empty. That made a step 3.6 times as long as the base
model's (docs/engine.md has the profile). Here the rows of a batch are sorted by adapter once per step, and
each adapter's rows go through one product with its A and one with its B:

    y[rows] += (x[rows] @ A) @ B        x (tokens, in), A (in, rank), B (rank, out), y (tokens, out)

A and B are kept ready for that: without the rows of zeros that fill A up to `max_lora_rank`, the slices of
a fused layer (q, k, v; gate, up) side by side in A and on the diagonal in B. An adapter that does not touch
a layer costs nothing there, and rows without an adapter get nothing.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU


class Group(NamedTuple):
    """The rows of a batch that one adapter answers."""

    slot: int
    """Where vLLM keeps its weights."""
    rows: Tensor | None
    """Their numbers; None means all."""


class Pair(NamedTuple):
    """One adapter's weights for one layer, ready to be multiplied with."""

    a: Tensor
    """(in, rank): the ranks of all slices."""
    b: Tensor
    """(rank, out): the outputs of all slices."""


class GroupedLora(PunicaWrapperCPU):
    """What vLLM's LoRA layers call. All layers share one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tokens: list[Group] = []
        self._sampled: list[Group] = []
        self._pairs = _Pairs()

    def update_metadata(self, *args: Any, **kwargs: Any) -> None:
        """Note which rows belong to which adapter: called once before a step, if anything changed."""
        super().update_metadata(*args, **kwargs)
        self._tokens = groups(self.token_lora_indices)
        self._sampled = groups(self.sampler_indices)

    def add_lora_linear(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: tuple[Tensor, ...],
        lora_b_stacked: tuple[Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[Tensor, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        """A linear layer's share: `y` (tokens, sum of `output_slices`) is changed in place.

        `lora_a_stacked[i]` is (slots, 1, rank, in), `lora_b_stacked[i]` is (slots, 1, out of slice i, rank).
        """
        if torch.compiler.is_compiling():  # a compiled step is the same for all batches: no groups there
            super().add_lora_linear(
                y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, buffer=buffer, **kwargs
            )
            return
        for group in self._tokens:
            pair = self._pairs.of(group.slot, lora_a_stacked, lora_b_stacked, output_slices)
            if pair is not None:
                _add(y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1]), group.rows, *pair, scale)

    def add_lora_logits(
        self,
        y: Tensor,
        x: Tensor,
        lora_a_stacked: Tensor,
        lora_b_stacked: Tensor,
        scale: float,
        **_options: Any,
    ) -> None:
        """The vocabulary's share: `y` (rows, vocabulary), `x` (rows, hidden), a row for each request.

        While prompts are scored the rows are one request's tokens, and vLLM does not say whose. Adapters
        without a share in the vocabulary, which is all that Chorus trains, need not know.
        """
        slices = (lora_b_stacked.shape[2],)
        for group in self._sampled:
            pair = self._pairs.of(group.slot, (lora_a_stacked,), (lora_b_stacked,), slices)
            if pair is not None:
                _add(y, x, group.rows, *pair, scale)

    def add_lora_embedding(
        self, y: Tensor, x: Tensor, lora_b_stacked: Tensor, add_inputs: bool = True, **kwargs: Any
    ) -> None:
        """The embedding's share: `x` (tokens, rank) is looked up in A already, `y` is (tokens, hidden)."""
        if torch.compiler.is_compiling():
            super().add_lora_embedding(y, x, lora_b_stacked, add_inputs, **kwargs)
            return
        for group in self._tokens:
            _add(y, x, group.rows, None, lora_b_stacked[group.slot, 0].t(), 1.0)


def groups(slots: Tensor) -> list[Group]:
    """The rows of each slot in `slots` (rows), where -1 stands for no adapter."""
    there: list[int] = torch.unique(slots).tolist()
    if len(there) == 1:
        return [Group(slot, None) for slot in there if slot >= 0]
    return [Group(slot, (slots == slot).nonzero().squeeze(1)) for slot in there if slot >= 0]


class _Pairs:
    """The pairs of all layers, each made when it is first used and when its weights have changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Tensor, int], tuple[int, Pair | None]] = {}

    def of(
        self, slot: int, a: tuple[Tensor, ...], b: tuple[Tensor, ...], slices: tuple[int, ...]
    ) -> Pair | None:
        """One slot's pair for the layer that has these weights; None where all of it is zero."""
        version = sum(tensor._version for tensor in (*a, *b))  # noqa: SLF001 - grows with each write in place
        known = self._known.get((b[0], slot))
        if known is None or known[0] != version:
            known = self._known[b[0], slot] = version, _pair(slot, a, b, slices)
        return known[1]


def _pair(slot: int, a: tuple[Tensor, ...], b: tuple[Tensor, ...], slices: tuple[int, ...]) -> Pair | None:
    ranks = [_rank(down[slot, 0]) for down in a]
    if not any(ranks):
        return None
    narrow = torch.cat([down[slot, 0, :rank] for down, rank in zip(a, ranks, strict=True)])
    wide = narrow.new_zeros(sum(slices), sum(ranks))
    row = column = 0
    for up, rank, width in zip(b, ranks, slices, strict=True):
        filled = min(width, up.shape[2])
        wide[row : row + filled, column : column + rank] = up[slot, 0, :filled, :rank]
        row, column = row + width, column + rank
    return Pair(narrow.t(), wide.t())


def _rank(a: Tensor) -> int:
    """How many rows of `a` (highest rank, in) are in use; only zeros follow them.

    The numbers' bits are compared, which for bf16 takes a third of the time.
    """
    bits = a.view(torch.int16 if a.element_size() == 2 else torch.int32)
    least, most = bits.amin(1).tolist(), bits.amax(1).tolist()
    return max((row + 1 for row in range(len(a)) if least[row] or most[row]), default=0)


def _add(y: Tensor, x: Tensor, rows: Tensor | None, a: Tensor | None, b: Tensor, scale: float) -> None:
    """Without an `a`, `x` has been multiplied with it."""
    part = x if rows is None else x.index_select(0, rows)
    if a is not None:
        part = part @ a.to(x.dtype)
    part, b = part.to(y.dtype), b.to(y.dtype)
    into = y[:, : b.shape[1]]  # the model may have padded its output
    if rows is None:
        into.addmm_(part, b, alpha=scale)
    else:
        into.index_add_(0, rows, part @ b, alpha=scale)
