"""What is too long: text is cut and nothing of it is lost; of a chat the end stays."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import Tokens, example_tokens
from chorus.common.contracts.datasets import Turn
from chorus.trainer.training.fitting import fitted

CYRILLIC = ("Мы выходим в море на рассвете, и суп горячий. " * 50)[:1950]
MOST = 1024


def some(length: int) -> Tokens:
    return Tokens(list(range(length)), [True] * length)


@given(st.integers(1, 400), st.integers(2, 50))
def test_every_token_of_a_text_is_learned(length: int, most: int) -> None:
    pieces = fitted(some(length), most, plain=True)
    assert max(len(piece.ids) for piece in pieces) <= most
    learned = [token for piece in pieces for token in piece.ids[1:]]  # the first has nothing before it
    assert [pieces[0].ids[0], *learned] == list(range(length)), "once each, in order"


def test_the_pieces_are_about_as_long_as_each_other() -> None:
    pieces = fitted(some(1025), 1024, plain=True)
    assert [len(piece.ids) for piece in pieces] == [513, 513]


def test_of_a_text_in_another_script_nothing_is_lost() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
    whole = example_tokens(tokenizer, [Turn(role="assistant", content=CYRILLIC)])
    assert len(whole.ids) > 2 * MOST, "a sign of this script takes several tokens"
    pieces = fitted(whole, MOST, plain=True)
    together = pieces[0].ids + [token for piece in pieces[1:] for token in piece.ids[1:]]
    assert tokenizer.decode(together) == f"{CYRILLIC}{tokenizer.eos_token}"
    assert all(all(piece.learn) and len(piece.ids) <= MOST for piece in pieces)


@pytest.mark.parametrize(("length", "kept"), [(10, 10), (11, 10)])
def test_of_a_chat_the_end_stays(length: int, kept: int) -> None:
    (chat,) = fitted(some(length), 10, plain=False)
    assert chat.ids == list(range(length))[-kept:]
