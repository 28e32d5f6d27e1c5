"""The loss of each token, without ever holding the logits of all of them.

16,384 tokens x 128k words would be 8 GiB of logits in fp32, and as much again of gradients. So the head is
computed in pieces. What comes before it is gathered first: tokens without a target cost the head nothing.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

LOGITS_AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 27}
"""How many make a piece: on a CPU it shall fit into the caches, a GPU wants large ones (512 MiB in fp32)."""


def token_losses(hidden: Tensor, head: nn.Module, targets: Tensor) -> Tensor:
    """Cross-entropy of each position in nats, differentiable.

    Args:
        hidden: (n, width), what the model says of the positions that have a target. n may be 0.
        head: from (n, width) to the logits (n, words).
        targets: (n,) int64, the words.

    Returns:
        (n,) fp32.
    """
    if isinstance(head, nn.Linear) and not any(each.requires_grad for each in head.parameters()):
        losses = _FrozenHead.apply(hidden, head.weight, head.bias, targets)
        assert isinstance(losses, Tensor)
        return losses
    words = sum(each.shape[0] for each in list(head.parameters())[:1])
    pieces = [
        checkpoint(_losses, hidden[piece], head, targets[piece], use_reentrant=False)
        for piece in _pieces(len(targets), words, hidden.device)
    ]
    return torch.cat([hidden.sum(-1).float()[:0], *pieces])  # with none at all it is still differentiable


def _losses(hidden: Tensor, head: nn.Module, targets: Tensor) -> Tensor:
    return functional.cross_entropy(head(hidden).float(), targets, reduction="none")


def _pieces(positions: int, words: int, device: torch.device) -> Iterator[slice]:
    size = max(1, LOGITS_AT_ONCE[device.type] // words)
    return (slice(at, at + size) for at in range(0, positions, size))


class _FrozenHead(torch.autograd.Function):
    """A head that does not learn: a position's gradient is known with its loss, up to a factor.

    d loss_i / d hidden_i = (softmax_i - onehot_i) @ weight, and what comes from above only scales it. So the
    logits are computed once, and not again in the backward pass as checkpointing would: a third less work.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        losses = torch.empty(len(targets), device=hidden.device)
        wants_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wants_gradient else None
        for piece in _pieces(len(targets), len(weight), hidden.device):
            target = targets[piece, None]
            logits = functional.linear(hidden[piece], weight, bias)
            log_probs = logits.log_softmax(-1, dtype=torch.float32)
            losses[piece] = -log_probs.gather(1, target)[:, 0]
            if gradient is not None:
                wrong = log_probs.exp_()
                wrong.scatter_add_(1, target, wrong.new_full(target.shape, -1.0))
                torch.mm(wrong.to(weight.dtype), weight, out=gradient[piece])
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0][:, None].to(gradient.dtype), None, None, None
