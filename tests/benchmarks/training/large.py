"""Models of 1 and 8 billion weights on a GPU: random weights, made there. Only speed is asked of them."""

import gc
from contextlib import AbstractContextManager
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from chorus.common.chat import Tokens
from chorus.trainer.backends.model import Model, compiles
from chorus.trainer.backends.precision import detect
from tests.benchmarks.training.lessons import ROW, Shape, draw_lengths, recipe_of
from tests.benchmarks.training.ours import Ours
from tests.benchmarks.training.stopwatch import tokens_a_second

LLAMA_1B = Shape(
    layers=16, hidden=2048, intermediate=8192, heads=32, key_heads=8, vocabulary=128_256, tied=True
)
LLAMA_8B = Shape(
    layers=32, hidden=4096, intermediate=14_336, heads=32, key_heads=8, vocabulary=128_256, tied=False
)
ROWS = 17  # of a step: 16,320 tokens, in one flat batch if they fit
WARM_UP, STEPS = 4, 12


class Found(NamedTuple):
    """What was measured."""

    tokens_per_s: float
    mfu: float | None
    """Share of what the GPU could compute at most, where that is known."""
    peak_gib: float
    compiled: bool


def fastest(shape: Shape, folder: Path) -> Found:
    """Compiled or not."""
    found = [measure(shape, folder, compiled=compiled) for compiled in {False, compiles()}]
    return max(found, key=itemgetter(0))


def measure(shape: Shape, folder: Path, *, rows: int = ROWS, steps: int = STEPS, compiled: bool) -> Found:
    """Train a model of this shape on chats whose every token is learned. `folder` gets its configuration."""
    shape.config().save_pretrained(folder)
    chats = random_chats(rows * ROW * (WARM_UP + steps + 1), shape.vocabulary)
    recipe = recipe_of(chats, rows_per_step=rows, hidden=shape.hidden, compiled=compiled)
    _forget_what_was_before()
    with made_on_the_device():
        model = Model(folder, detect(), recipe)
    speed = tokens_a_second(Ours(model, chats, recipe).learn, warm_up=WARM_UP, steps=steps)
    mfu = speed * model.flops_per_token / model.peak_flops if model.peak_flops else None
    peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0
    return Found(speed, mfu, peak, compiled)


def made_on_the_device() -> AbstractContextManager[Any]:
    """While this lasts, a model that is loaded gets random weights: 16 GB need not go through a disk."""

    def made(folder: Path, *, dtype: torch.dtype, device_map: dict[str, Any] | None = None, **_: Any) -> Any:
        torch.manual_seed(0)
        with torch.device(device_map[""] if device_map else "cpu"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(
                AutoConfig.from_pretrained(folder), dtype=dtype
            )
        return model

    return patch.object(AutoModelForCausalLM, "from_pretrained", made)


def random_chats(tokens: int, vocabulary: int) -> list[Tokens]:
    """Chats of at least so many tokens in all."""
    chance = np.random.default_rng(0)
    lengths = draw_lengths(tokens // 25, seed=0)
    return [Tokens(chance.integers(4, vocabulary, length).tolist(), [True] * length) for length in lengths]


def _forget_what_was_before() -> None:
    """An earlier model must not be in this one's memory; what was compiled would hold on to it."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
