"""What every side learns: a base with random weights, and short chats that can be learned from."""

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import Tokens
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.training.packing import rows_of_epoch
from chorus.trainer.training.recipe import Data, Recipe, choose

MEAN, SIGMA = 30, 0.95  # tokens of a chat: lognormal
SHORTEST = 4
SPREAD = 0.06  # of a base's weights: with Llama's 0.02, no adapter could make any token likely
ROW = 960  # tokens of a packed row: no chat is longer, and 32 of mean length fill it
PADDING = 3  # the starter's token for it; in no chat


@dataclass(frozen=True)
class Shape:
    """Of a Llama."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    key_heads: int
    vocabulary: int
    tied: bool
    """Whether the embeddings are the head as well."""

    def config(self) -> LlamaConfig:
        """As transformers wants it."""
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            max_position_embeddings=4096,
            tie_word_embeddings=self.tied,
            bos_token_id=0,
            eos_token_id=2,
        )


SMALL = Shape(layers=4, hidden=256, intermediate=688, heads=4, key_heads=2, vocabulary=4096, tied=True)
"""For two cores: 4 million weights."""


def write_base(folder: Path, shape: Shape) -> None:
    """A model's folder: random weights, the same each time, and the starter's tokenizer."""
    config = shape.config()
    config.initializer_range = SPREAD
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER_FOLDER).save_pretrained(folder)


def recipe_of(chats: list[Tokens], *, rows_per_step: int, hidden: int, compiled: bool = False) -> Recipe:
    """What Chorus would do in one pass over the chats, in steps of so many rows."""
    lengths = lengths_of(chats)
    wishes = Hyperparameters(epochs=1, rank=16, compile=compiled, batch_tokens=ROW * rows_per_step)
    chosen = choose(wishes, Data(lengths), hidden_size=hidden)
    rows = rows_of_epoch(lengths, seed=chosen.seed, epoch=0, row_tokens=ROW)
    return replace(chosen, row_tokens=ROW, rows_per_step=rows_per_step, steps=len(rows) // rows_per_step)


def lengths_of(chats: list[Tokens]) -> list[int]:
    """In tokens."""
    return [len(chat.ids) for chat in chats]


def write_chats(count: int, *, seed: int) -> list[Tokens]:
    """Chats whose second half is the reply to learn.

    A walk through English: each token is followed by one that follows it somewhere in Python's own
    documentation. A model can learn which ones do, but never which one is next: no reply is learned by heart.
    """
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER)
    text: list[int] = tokenizer.encode(" ".join(topics.values()), add_special_tokens=False, verbose=False)
    after: defaultdict[int, list[int]] = defaultdict(list)
    for token, following in zip(text, text[1:] + text[:1], strict=True):
        after[token].append(following)
    chance = random.Random(seed)
    chats: list[Tokens] = []
    for length in draw_lengths(count, seed=seed):
        ids = [chance.choice(text)]
        while len(ids) < length:
            ids.append(chance.choice(after[ids[-1]]))
        chats.append(Tokens(ids, [at >= length // 2 for at in range(length)]))
    return chats


def draw_lengths(count: int, *, seed: int) -> list[int]:
    """Tokens of each chat."""
    drawn = np.random.default_rng(seed).lognormal(np.log(MEAN) - SIGMA**2 / 2, SIGMA, count)
    return np.clip(np.round(drawn), SHORTEST, ROW).astype(int).tolist()
