"""A model's tokenizer, as its makers saved it."""

from pathlib import Path

from transformers import AutoTokenizer

from chorus.common.chat import Tokenizer, prepare


def load(folder: Path) -> Tokenizer:
    """The tokenizer in a model's folder, ready for chats."""
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder)
    prepare(tokenizer)
    return tokenizer
