"""Prompts: the newest messages that fit, whole; and what cannot be asked is said."""

from typing import Any

import pytest
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput, TooLarge
from chorus.inference.generation.prompt import Prompt, compose

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)


def turn(role: str, content: str) -> Turn:
    return Turn.model_validate({"role": role, "content": content})


CHAT = [
    turn("system", "be kind"),
    turn("user", "first question"),
    turn("assistant", "first answer"),
    turn("user", "second question"),
]


def composed(messages: list[Turn], window: int = 512, remembers: int | None = None) -> Prompt:
    return compose(TOKENIZER, messages, window=window, reserve=64, remembers=remembers)


def text(prompt: Prompt) -> str:
    decoded: str = TOKENIZER.decode(prompt.tokens)
    return decoded


def test_all_of_it_if_it_fits() -> None:
    prompt = composed(CHAT)
    assert prompt.dropped == 0
    assert all(each.content in text(prompt) for each in CHAT)
    assert text(prompt).endswith("<|im_start|>assistant\n")


def test_the_oldest_go_first_and_the_system_stays() -> None:
    prompt = composed(CHAT, window=64)
    assert prompt.dropped == 2
    assert "be kind" in text(prompt)
    assert "first" not in text(prompt)
    assert "second question" in text(prompt)


def test_a_model_without_memory_is_shown_the_question_alone() -> None:
    prompt = composed(CHAT, remembers=0)
    assert prompt.dropped == 0
    assert "first" not in text(prompt)


def test_a_question_that_does_not_fit() -> None:
    with pytest.raises(TooLarge) as error:
        composed([turn("user", "word " * 1000)])
    assert error.value.code == "prompt_too_long"


def test_somebody_must_ask() -> None:
    with pytest.raises(InvalidInput) as error:
        composed(CHAT[:3])
    assert error.value.code == "no_question"
