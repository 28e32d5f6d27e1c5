"""What a model answers when it always takes the likeliest token: many prompts at once, with a cache."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel


@dataclass(frozen=True)
class Written:
    """A greedy continuation."""

    ids: list[int] = field(default_factory=list)
    """Without the token that ends it."""
    margins: list[float] = field(default_factory=list)
    """Nats between the first and the second choice, of each token; last the end token's, if it ended."""
    ended: bool = False
    """By the model; otherwise it was cut off."""


@torch.no_grad()
def greedy(
    model: PreTrainedModel, head: nn.Module, prompts: Sequence[list[int]], most: int, ends: set[int]
) -> list[Written]:
    """Continue each prompt with at most `most` tokens, or until a token of `ends`.

    `model` must attend with a mask (sdpa or eager). A row that has no position left ends there, whatever
    the others still write.
    """
    longest = max(map(len, prompts))
    device = next(model.parameters()).device
    ids = torch.tensor([[0] * (longest - len(each)) + each for each in prompts], device=device)
    real = torch.tensor([[0] * (longest - len(each)) + [1] * len(each) for each in prompts], device=device)
    most_positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    room = most_positions or longest + most
    positions = (real.cumsum(-1) - 1).clamp_(0, room - 1)
    cache = DynamicCache(config=model.config)
    written: list[tuple[list[int], list[float]]] = [([], []) for _ in prompts]
    ended = [False] * len(prompts)
    left = [min(most, room - len(each)) for each in prompts]
    while any(tokens > 0 for tokens in left):
        first, margins = _choices(model, head, ids, real, positions, cache)
        for row, (token, margin) in enumerate(zip(first.tolist(), margins.tolist(), strict=True)):
            if left[row] > 0:
                written[row][1].append(margin)
                ended[row] = token in ends
                written[row][0].extend([] if ended[row] else [token])
                left[row] = 0 if ended[row] else left[row] - 1
        ids, positions = first[:, None], (positions[:, -1:] + 1).clamp_(max=room - 1)
        real = torch.cat([real, torch.ones_like(ids)], dim=-1)
    return [Written(*each, ended=end) for each, end in zip(written, ended, strict=True)]


def _choices(
    model: PreTrainedModel, head: nn.Module, ids: Tensor, real: Tensor, positions: Tensor, cache: DynamicCache
) -> tuple[Tensor, Tensor]:
    """The likeliest next token of each row, and its lead in nats."""
    hidden = model.base_model(
        input_ids=ids, attention_mask=real, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    best = head(hidden[:, -1]).float().topk(2)
    return best.indices[:, 0], best.values[:, 0] - best.values[:, 1]
