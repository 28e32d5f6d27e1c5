"""What a training will take, before anything is loaded: parameters, arithmetic, memory, time. Pure.

Everything follows from the base's `config.json`. Rough, and meant to be: it is to tell a minute from a day,
and what fits from what never will.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from chorus.common.contracts.training import CheckTraining, Estimate, JobRecord
from chorus.trainer.training.recipe import Data, Recipe, choose

FP32, BF16 = 4, 2  # bytes
ADAMW = 8  # bytes a parameter: two running means in fp32 (arXiv 1711.05101)
FOUR_BITS = 0.52  # bytes a weight: 4 bits, and a scale for each 64 of them, itself in 8 (arXiv 2305.14314)

TOKENS_AT_ONCE = 8192  # of a micro-batch, where a step has more; the backend's own figure on a CPU
LOGITS_AT_ONCE = 1024  # tokens whose logits exist at one time
LOGITS_COPIES = 3  # the logits, their softmax, and their gradient

GATED_COPIES, GPT2_COPIES = 1.0, 2.6
"""Of what goes into and comes out of each linear layer, how much is kept for the backward pass, in fp32:
measured as the tensors that autograd saves, 1.0 to 1.1 for Llama and Qwen, 2.6 for GPT-2, whose GELU is
spelled out. bf16 keeps hardly less: adapters compute in fp32."""


@dataclass(frozen=True)
class Shape:
    """A transformer, as far as its size goes."""

    hidden: int
    layers: int
    vocab: int
    linears: tuple[tuple[int, int], ...]
    """Inputs and outputs of each linear layer of a block."""
    small: int
    """Parameters of a block's norms and biases."""
    outside: int
    """Parameters beside the blocks and the vocabulary: the last norm, learned positions."""
    tied: bool
    """Whether the input embedding and the head are one matrix."""
    copies: float = GATED_COPIES

    @property
    def products(self) -> int:
        """Weights that each token is multiplied with: all but the input embedding."""
        return self.layers * sum(i * o for i, o in self.linears) + self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        embedding = 0 if self.tied else self.vocab * self.hidden
        return self.products + embedding + self.layers * self.small + self.outside

    def adapter(self, rank: int) -> int:
        """Parameters of an adapter on all linear layers (arXiv 2106.09685, section 4.1)."""
        return self.layers * rank * sum(i + o for i, o in self.linears)


def shape_of(config: Mapping[str, object]) -> Shape | None:
    """The shape that a `config.json` describes; None where we know too little of the architecture."""
    if any("expert" in key for key in config):
        return None  # only some of the weights are used for a token
    try:
        return _gpt2(config) if config.get("model_type") == "gpt2" else _llama(config)
    except (KeyError, TypeError):
        return None


def _llama(config: Mapping[str, object]) -> Shape:
    """Llama, Mistral, Qwen and their kin: RMS norms, and an MLP with a gate."""
    hidden, heads = _number(config, "hidden_size"), _number(config, "num_attention_heads")
    head = _number(config, "head_dim", hidden // heads)
    query, key = heads * head, _number(config, "num_key_value_heads", heads) * head
    inner = _number(config, "intermediate_size")
    norms = 2 * hidden + (2 * head if config.get("model_type") == "qwen3" else 0)
    biased = config.get("attention_bias", config.get("model_type") == "qwen2")
    biases = (query + 2 * key + (hidden if config.get("attention_bias") else 0)) if biased else 0
    biases += 2 * inner + hidden if config.get("mlp_bias") else 0
    return Shape(
        hidden=hidden,
        layers=_number(config, "num_hidden_layers"),
        vocab=_number(config, "vocab_size"),
        linears=(
            *((hidden, query), (hidden, key), (hidden, key), (query, hidden)),
            *((hidden, inner), (hidden, inner), (inner, hidden)),
        ),
        small=norms + biases,
        outside=hidden,
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def _gpt2(config: Mapping[str, object]) -> Shape:
    """GPT-2: one matrix for query, key and value, biases everywhere, learned positions, one vocabulary."""
    hidden = _number(config, "n_embd")
    inner = _number(config, "n_inner", 4 * hidden)
    linears = ((hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden))
    return Shape(
        hidden=hidden,
        layers=_number(config, "n_layer"),
        vocab=_number(config, "vocab_size"),
        linears=linears,
        small=sum(o for _, o in linears) + 4 * hidden,
        outside=_number(config, "n_positions") * hidden + 2 * hidden,
        tied=True,
        copies=GPT2_COPIES,
    )


def _number(config: Mapping[str, object], key: str, otherwise: int | None = None) -> int:
    """A count of the configuration; raises `KeyError` or `TypeError` where there is none."""
    value = config.get(key)
    if value is None:
        value = otherwise
    if value is None:
        raise KeyError(key)
    return int(cast("int", value))


def flops_per_token(recipe: Recipe, shape: Shape) -> float:
    """Of a training token: forward and backward, where an adapter spares the gradients of all weights."""
    if recipe.method == "full":
        return 6.0 * shape.products
    return 4.0 * shape.products + 6.0 * shape.adapter(recipe.rank)


def memory_bytes(recipe: Recipe, shape: Shape, data: Data, *, bytes_per_weight: float) -> int:
    """At its peak: weights, what is learned with its gradient and AdamW's means, activations, logits."""
    learned = shape.parameters if recipe.method == "full" else shape.adapter(recipe.rank)
    state = learned * (FP32 + FP32 + ADAMW)
    weights = 0.0 if recipe.method == "full" else shape.parameters * bytes_per_weight
    if recipe.method == "qlora":
        linear = shape.products - shape.vocab * shape.hidden
        weights -= linear * (bytes_per_weight - FOUR_BITS)
    rows = max(1, min(recipe.rows_per_step, TOKENS_AT_ONCE // recipe.row_tokens))
    tokens = min(rows * recipe.row_tokens, max(sum(data.lengths), recipe.row_tokens))
    kept = shape.copies * sum(i + o for i, o in shape.linears)
    layers = 1 if recipe.activation_checkpointing else shape.layers
    activations = tokens * FP32 * (layers * kept + shape.layers * shape.hidden)
    logits = min(tokens, LOGITS_AT_ONCE) * shape.vocab * FP32 * LOGITS_COPIES
    return round(state + weights + activations + logits)


def estimate(
    recipe: Recipe, shape: Shape, data: Data, *, bytes_per_weight: float, flops_per_s: float | None = None
) -> Estimate:
    """Steps, tokens, memory and time. `flops_per_s` is what the machine was seen to do, if it was."""
    tokens = recipe.epochs * sum(data.lengths)
    seconds = tokens * flops_per_token(recipe, shape) / flops_per_s if flops_per_s else None
    return Estimate(
        steps=recipe.steps,
        epochs=recipe.epochs,
        tokens=tokens,
        memory_bytes=memory_bytes(recipe, shape, data, bytes_per_weight=bytes_per_weight),
        seconds=seconds,
    )


def foreseen(asked: CheckTraining, shape: Shape, jobs: Iterable[JobRecord], *, gpu: bool | None) -> Estimate:
    """The estimate for data of which only sums are known, at the speed of such jobs before; pure.

    `gpu` is None where another machine trains; then it has one, most likely.
    """
    wishes = asked.hyperparameters
    mean = math.ceil(asked.tokens / asked.examples)
    lengths = [min(mean, wishes.max_tokens)] * math.ceil(asked.tokens / min(mean, wishes.max_tokens))
    unwanted = asked.examples - asked.wanted
    data = Data(lengths, unwanted, corrections=unwanted if wishes.objective == "dpo" else 0)
    recipe = choose(wishes, data, hidden_size=shape.hidden)
    speed = _tokens_per_s(jobs, recipe, asked.base)
    return estimate(
        recipe,
        shape,
        data,
        bytes_per_weight=FP32 if gpu is False else BF16,
        flops_per_s=speed * flops_per_token(recipe, shape) if speed else None,
    )


def _tokens_per_s(jobs: Iterable[JobRecord], recipe: Recipe, base: str | None) -> float | None:
    """How fast jobs of this kind were lately, tokens a second: the median; None where there was none."""
    seen = [
        job.progress.tokens_per_s
        for job in jobs
        if job.progress is not None and job.progress.tokens_per_s
        if (job.job.base, job.job.hyperparameters.method) == (base, recipe.method)
    ]
    return statistics.median(seen) if seen else None
