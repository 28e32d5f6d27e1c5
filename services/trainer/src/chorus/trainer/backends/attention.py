"""Attention over packed examples, none of which sees another: `chorus_varlen` for transformers' models.

Queries, keys and values of all examples lie end to end, and `borders` says where each example starts. On a
GPU that is what flash attention calls variable length (torch.nn.attention.varlen). On a CPU torch has nothing
like it, and its own kernel computes what a mask then hides: so here the examples of about one length are laid
side by side and multiplied at once. For 4,096 tokens of chats (mean length 30) that takes a third of the time
that masked rows of 256 take, and longer examples do not make it slower for the short ones
(docs/adr/0015-packing-and-attention.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

from chorus.common.errors import InvalidInput

NAME = "chorus_varlen"

BLOCK = 128  # queries at once: of a longer example, keys after a block's last query are left out
SIZES = np.array([8, 16, 32, 48, 64, 96, 128, 192, 256])  # lengths that examples are filled up to
AT_ONCE = 1 << 22  # scores, which bounds the memory: 8 MiB in bf16

FORBIDDEN = ("softcap", "s_aux", "position_bias")  # what some models add to attention, and this does not know


def register() -> None:
    """Make `set_attn_implementation(NAME)` known to transformers."""
    AttentionInterface.register(NAME, attention)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    borders: Tensor,
    longest: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Causal attention inside each example, as transformers calls it.

    Args:
        module: the layer; not needed.
        query: (1, heads, tokens, width).
        key: (1, key heads, tokens, width); each is shared by heads / key heads queries.
        value: as `key`.
        attention_mask: None, for the borders say it all.
        borders: (examples + 1,) int32.
        longest: at least the tokens of the longest example.
        scaling: of the scores; None is width ** -0.5.
        sliding_window: tokens that a query sees, itself among them; None is all before it.
        others: what does not concern attention; dropout is off in all of Chorus.

    Returns:
        (1, tokens, heads, width), and None for the weights.
    """
    del module
    assert attention_mask is None, "a mask would say something else than the borders"
    if strange := [name for name in FORBIDDEN if others.get(name) is not None]:
        raise InvalidInput(
            f"This base's attention uses {strange[0]}, which training cannot pack. Choose another base.",
            code="unsupported_base",
        )
    # rotations and norms may be computed in fp32 where autocast makes values bf16
    q, k, v = (each[0].transpose(0, 1).to(value.dtype) for each in (query, key, value))
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    window = sliding_window or 0
    if q.is_cuda:
        seen = (window - 1 if window else -1, 0)
        out = varlen_attn(
            q, k, v, borders, borders, longest, longest, scale=scale, window_size=seen, enable_gqa=True
        )
        assert isinstance(out, Tensor)
    else:
        out = _varlen_cpu(q.contiguous(), k.contiguous(), v.contiguous(), borders, scale, window)
    return out[None], None


@torch.library.custom_op("chorus::varlen_cpu", mutates_args=())
def _varlen_cpu(q: Tensor, k: Tensor, v: Tensor, borders: Tensor, scale: float, window: int) -> Tensor:
    """An operator of its own, so that torch.compile does not look into it: its shapes change each time."""
    plan = _plan(borders.numpy().tobytes(), q.shape[1], k.shape[1])
    out = q.new_empty(plan.rows, q.shape[2])
    for group in plan.groups:
        gq, gk, gv = group.gather(q, k, v)
        own = out[group.at : group.at + gq[..., 0].numel()].view_as(gq)
        for block in _blocks(group.length, window):
            weights = _weights(gq, gk, block, scale, window)
            own[:, :, block.queries] = (weights @ gv[:, block.keys]).view_as(own[:, :, block.queries])
    return out.index_select(0, plan.query_rows).view_as(q)


@_varlen_cpu.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, borders: Tensor, scale: float, window: int) -> Tensor:
    del k, v, borders, scale, window
    return torch.empty_like(q)


@torch.library.custom_op("chorus::varlen_cpu_backward", mutates_args=())
def _varlen_cpu_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, borders: Tensor, scale: float, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients as flash attention has them: the weights are computed again, not kept (arXiv 2205.14135)."""
    plan = _plan(borders.numpy().tobytes(), q.shape[1], k.shape[1])
    width = q.shape[2]
    dq = q.new_empty(plan.rows, width)
    dk, dv = k.new_zeros(2, plan.rows * k.shape[1] // q.shape[1], width)
    for group in plan.groups:
        gq, gk, gv = group.gather(q, k, v)
        gg = group.queries(grad).mul_(group.real)  # what fills an example up must teach nothing
        own_q = dq[group.at : group.at + gq[..., 0].numel()].view_as(gq)
        keys = slice(group.key_at, group.key_at + gk[..., 0].numel())
        own_k, own_v = dk[keys].view_as(gk), dv[keys].view_as(gv)
        for block in _blocks(group.length, window):
            weights = _weights(gq, gk, block, scale, window)
            bq, bg = gq[:, :, block.queries].flatten(1, 2), gg[:, :, block.queries].flatten(1, 2)
            own_v[:, block.keys].baddbmm_(weights.mT, bg)
            scores = bg @ gv[:, block.keys].mT
            scores = scores.sub_((scores * weights).sum(-1, keepdim=True)).mul_(weights).mul_(scale)
            own_q[:, :, block.queries] = (scores @ gk[:, block.keys]).view_as(own_q[:, :, block.queries])
            own_k[:, block.keys].baddbmm_(scores.mT, bq)
    return (
        dq.index_select(0, plan.query_rows).view_as(q),
        dk.index_select(0, plan.key_rows).view_as(k),
        dv.index_select(0, plan.key_rows).view_as(v),
    )


@_varlen_cpu_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, borders: Tensor, scale: float, window: int
) -> tuple[Tensor, Tensor, Tensor]:
    del grad, borders, scale, window
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    del output
    q, k, v, borders, ctx.scale, ctx.window = inputs
    ctx.save_for_backward(q, k, v, borders)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    found = _varlen_cpu_backward(grad.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.window)
    return (*found, None, None, None)


_varlen_cpu.register_autograd(_gradients, setup_context=_keep)


@dataclass(frozen=True)
class _Block:
    """Some queries of an example, and the keys that any of them sees."""

    queries: slice
    keys: slice


def _blocks(length: int, window: int) -> Iterator[_Block]:
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        first = max(0, start - window + 1) if window else 0
        yield _Block(slice(start, stop), slice(first, stop))


def _weights(q: Tensor, k: Tensor, block: _Block, scale: float, window: int) -> Tensor:
    """(examples * key heads, queries, keys): how much each query of a block takes of each key."""
    queries = q[:, :, block.queries].flatten(1, 2)
    shape = (block.queries.start, block.queries.stop, block.keys.start)
    hidden = _hidden(*shape, window, q.shape[1], q.dtype)
    return torch.baddbmm(hidden, queries, k[:, block.keys].mT, alpha=scale).softmax(-1)


@lru_cache(maxsize=64)
def _hidden(start: int, stop: int, first: int, window: int, sharing: int, dtype: torch.dtype) -> Tensor:
    """(1, sharing * queries, keys): minus infinity where a query must not look, for each head."""
    query, key = torch.arange(start, stop)[:, None], torch.arange(first, stop)[None]
    unseen = key > query
    if window:
        unseen |= key <= query - window
    return torch.zeros(unseen.shape, dtype=dtype).masked_fill_(unseen, float("-inf")).repeat(sharing, 1)[None]


@dataclass(frozen=True)
class _Group:
    """Examples of about one length, side by side. Rows are of (tokens * heads, width)."""

    length: int
    """Tokens that each is filled up to."""
    shape: tuple[int, int, int]
    """(examples * key heads, heads that share a key head, length)."""
    query_rows: Tensor
    key_rows: Tensor
    real: Tensor
    """(examples * key heads, 1, length, 1): False where an example is filled up."""
    at: int
    """Where its queries begin among those of all groups."""
    key_at: int

    def queries(self, values: Tensor) -> Tensor:
        """Of (tokens, heads, width): (*shape, width)."""
        return values.flatten(0, 1).index_select(0, self.query_rows).view(*self.shape, -1)

    def gather(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries as above, keys and values as (examples * key heads, length, width)."""
        keys, values = (
            each.flatten(0, 1).index_select(0, self.key_rows).view(self.shape[0], self.length, -1)
            for each in (k, v)
        )
        return self.queries(q), keys, values


@dataclass(frozen=True)
class _Plan:
    """Which examples are computed together, and where to find each token's result afterwards."""

    groups: list[_Group]
    rows: int
    """Of all groups' queries."""
    query_rows: Tensor
    """(tokens * heads,): where in the groups."""
    key_rows: Tensor


@lru_cache(maxsize=8)
def _plan(borders: bytes, heads: int, key_heads: int) -> _Plan:
    """Made once a batch: all layers, forward and backward, share it."""
    starts = np.frombuffer(borders, dtype=np.int32).astype(np.int64)
    lengths = np.diff(starts)
    filled = _filled_up(lengths)
    sharing = heads // key_heads
    groups: list[_Group] = []
    query_back = np.empty((int(starts[-1]), heads), dtype=np.int64)
    key_back = np.empty((int(starts[-1]), key_heads), dtype=np.int64)
    slots = 0
    for length in np.unique(filled).tolist():
        (members,) = np.nonzero(filled == length)
        most = max(1, AT_ONCE // (heads * min(length, BLOCK) * length))
        for part in np.split(members, range(most, len(members), most)):
            some = np.pad(part, (0, _more(len(part))), mode="edge")
            within = np.arange(length)[None]
            real = within < lengths[some, None]  # (examples, length)
            real[len(part) :] = False
            token = starts[some, None] + np.minimum(within, lengths[some, None] - 1)
            key_rows = token[:, None] * key_heads + np.arange(key_heads)[None, :, None]
            query_rows = token[:, None] * heads + np.arange(heads)[None, :, None]
            for rows, back, each in ((query_rows, query_back, heads), (key_rows, key_back, key_heads)):
                place = slots * each + np.arange(rows.size).reshape(rows.shape)
                back[token[real]] = place.transpose(0, 2, 1)[real]
            groups.append(
                _Group(
                    length=length,
                    shape=(len(some) * key_heads, sharing, length),
                    query_rows=torch.from_numpy(query_rows.ravel()),
                    key_rows=torch.from_numpy(key_rows.ravel()),
                    real=torch.from_numpy(np.repeat(real, key_heads, axis=0))[:, None, :, None],
                    at=slots * heads,
                    key_at=slots * key_heads,
                )
            )
            slots += len(some) * length
    back = torch.from_numpy(query_back.ravel()), torch.from_numpy(key_back.ravel())
    return _Plan(groups, slots * heads, *back)


def _filled_up(lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Lengths up to the next size, so that few different ones are left: beyond the last, to whole blocks."""
    size = SIZES[np.minimum(np.searchsorted(SIZES, lengths), len(SIZES) - 1)]
    return np.where(lengths <= SIZES[-1], size, -(-lengths // BLOCK) * BLOCK)


def _more(count: int) -> int:
    """Examples to add to a group, so that few counts are left: four between a power of two and the next."""
    return -count % (1 << max(0, count.bit_length() - 3))
