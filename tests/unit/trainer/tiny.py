"""Very small models with random weights, of the architectures that training must be right for."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    MistralConfig,
    Qwen3Config,
)

from chorus.common.chat import Tokens
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.precision import Precision
from chorus.trainer.training.recipe import Recipe

torch.set_num_threads(1)  # at this size threads wait for each other longer than they compute

FP32 = Precision(torch.float32, "for the test")
WORDS = 300
LENGTHS = (7, 33, 2, 50, 16)

COMMON: dict[str, Any] = {"vocab_size": WORDS, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.2,  # large enough that what sees a neighbour says something else
}
GPT2_SIZES: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "initializer_range": 0.2}

CONFIGS: dict[str, Any] = {
    "llama": lambda: LlamaConfig(**COMMON, **SIZES, tie_word_embeddings=True),
    "qwen3": lambda: Qwen3Config(**COMMON, **SIZES),
    "mistral": lambda: MistralConfig(**COMMON, **SIZES, sliding_window=5),
    "gemma3": lambda: Gemma3TextConfig(
        **COMMON,
        **SIZES,
        sliding_window=5,
        query_pre_attn_scalar=16,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "gpt2": lambda: GPT2Config(**COMMON, **GPT2_SIZES),
    "gptj": lambda: GPTJConfig(**COMMON, **GPT2_SIZES, rotary_dim=8),  # knows no attention but its own
}
"""Grouped queries, norms of queries and keys, windows, learned positions, rows instead of flat batches."""


def base(name: str, folder: Path) -> Path:
    """A model's folder, made when it is first asked for."""
    out = folder / name
    if not out.exists():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(CONFIGS[name]()).save_pretrained(out)
    return out


def recipe(**changes: Any) -> Recipe:
    """LoRA, unless it is said otherwise."""
    usual: dict[str, Any] = {
        "method": "lora",
        "objective": "sft",
        "rank": 4,
        "alpha": 8.0,
        "learning_rate": 1e-2,
        "warmup": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "epochs": 1,
        "steps": 1,
        "row_tokens": 128,
        "rows_per_step": 1,
        "beta": 0.1,
        "sft_weight": 1.0,
        "patience": 0,
        "activation_checkpointing": None,
        "compile": None,
        "max_seconds": None,
        "seed": 0,
    }
    return Recipe(**{**usual, **changes})


def lora(folder: Path, **changes: Any) -> Model:
    """A model with an adapter that does something: a new one does nothing."""
    model = Model(folder, FP32, recipe(**changes))
    stir(model)
    return model


def stir(model: Model) -> None:
    """Move what learns away from where it began."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters().values():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


def examples(lengths: tuple[int, ...] = LENGTHS) -> list[Tokens]:
    """Random words; every third is not to be learned."""
    generator = torch.Generator().manual_seed(2)
    return [
        Tokens(torch.randint(4, WORDS, (n,), generator=generator).tolist(), [at % 3 != 1 for at in range(n)])
        for n in lengths
    ]
