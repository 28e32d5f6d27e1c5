"""Tokens: as the base model counts them, to within a few of what training will see."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import example_tokens
from chorus.common.errors import Misconfigured
from chorus.trainer.curation.tokens import AT_ONCE, TokenCounter
from tests.unit.trainer.curation.built import COUNTER, built, pair, said, words

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=5))
def test_a_text_has_as_many_tokens_as_for_the_model(texts: list[str]) -> None:
    assert COUNTER.count(texts) == [len(TOKENIZER.encode(text, add_special_tokens=False)) for text in texts]


def test_many_texts_are_counted_in_order() -> None:
    texts = ["hello " * (n % 7) for n in range(AT_ONCE + 10)]
    assert COUNTER.count(texts) == [COUNTER.count([text])[0] for text in texts[:7]] * (len(texts) // 7) + (
        COUNTER.count(texts[len(texts) // 7 * 7 :])
    )


def test_batches_are_counted_ahead_and_come_in_order() -> None:
    batches = [["a"], ["a b", "c"], [], ["hello there"]]

    def itself(batch: list[str]) -> list[str]:
        return batch

    assert list(COUNTER.ahead(batches, itself)) == [(batch, COUNTER.count(batch)) for batch in batches]
    assert list(COUNTER.ahead([], itself)) == []


def test_the_card_tells_what_training_will_see() -> None:
    chats = [said(str(n % 3), f"{words(n)} and so on", n * 6) for n in range(60)]
    made = built([*chats, pair(1)])
    trained = sum(len(example_tokens(TOKENIZER, each.messages).ids) for each in made.examples)
    assert made.card.tokens == pytest.approx(trained, rel=0.15)


def test_a_measured_template_is_exact() -> None:
    counter = TokenCounter(STARTER_FOLDER, lambda turns: len(example_tokens(TOKENIZER, turns).ids))
    (one,) = counter.count(["hello"])
    example = built([said("1", "hello"), said("2", "hello", 1)], real_names=True).examples[0]
    bare = [turn.model_copy(update={"name": None}) for turn in example.messages]
    expected = len(example_tokens(TOKENIZER, bare).ids)
    assert 2 * (one + counter.per_turn) + counter.per_example == expected


def test_a_model_without_a_fast_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"has no tokenizer\.json"):
        TokenCounter(tmp_path)
