"""Scores: over the tokens that training has a model learn, after the prompt that it would be asked."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import example_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput, TooLarge
from chorus.inference.generation.prompt import compose
from chorus.inference.generation.scoring import Lesson, lessons, score

TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def turns(*said: str) -> list[Turn]:
    return [Turn(role="assistant" if at % 2 else "user", content=text) for at, text in enumerate(said)]


def lessons_of(messages: Sequence[Turn], *replies: str, window: int = 512) -> tuple[int, list[Lesson]]:
    prompt, made = lessons(TOKENIZER, messages, replies, window=window, remembers=None)
    return prompt.dropped_messages, made


@given(text, st.lists(st.tuples(text, text), max_size=2), text)
def test_a_reply_is_scored_after_the_prompt_that_it_would_answer(
    question: str, before: list[tuple[str, str]], reply: str
) -> None:
    messages = turns(*(said for pair in before for said in pair), question)
    _, [lesson] = lessons_of(messages, reply, window=2048)
    asked = compose(TOKENIZER, messages, window=2048, reserve=1, remembers=None)
    taught = example_tokens(TOKENIZER, [*messages, Turn(role="assistant", content=reply)])
    assert lesson.tokens[: lesson.start] == asked.tokens
    assert lesson.tokens == taught.ids[: len(lesson.tokens)]
    assert all(taught.learn[lesson.start : len(lesson.tokens)])
    assert lesson.tokens[-1] == TOKENIZER.eos_token_id, "the token that ends it is part of it"


def test_only_the_last_reply_is_scored() -> None:
    _, [lesson] = lessons_of(turns("hi", "hello", "bye"), "so long")
    assert TOKENIZER.decode(lesson.tokens[lesson.start :]) == "so long<|im_end|>"


def test_several_replies_have_the_same_prompt() -> None:
    _, made = lessons_of(turns("hi", "hello", "bye"), "so long", "no", "")
    assert len({tuple(lesson.tokens[: lesson.start]) for lesson in made}) == 1
    assert [len(lesson.tokens) - lesson.start for lesson in made][-1] == 1, "the end alone"


def test_a_long_conversation_makes_room_for_the_longest_reply() -> None:
    messages = turns(*["word " * 10] * 8, "bye")
    dropped, made = lessons_of(messages, "ok", "so long " * 20, window=256)
    assert dropped
    assert all(len(lesson.tokens) < 256 for lesson in made)
    more, _ = lessons_of(messages, "ok", window=256)
    assert more < dropped


def test_a_reply_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TooLarge) as error:
        lessons_of(turns("hi"), "word " * 200, window=128)
    assert error.value.code == "reply_too_long"


def test_somebody_must_ask() -> None:
    with pytest.raises(InvalidInput) as error:
        lessons_of(turns("hi", "hello"), "bye")
    assert error.value.code == "no_question"


class Reader:
    """An engine that finds each token half as likely as not."""

    def __init__(self, each: float) -> None:
        self.each = each
        self.asked: list[tuple[list[int], int, object]] = []

    async def score(self, tokens: list[int], start: int, adapter: object) -> list[float]:
        self.asked.append((tokens, start, adapter))
        return [self.each] * len(tokens[start:])


@pytest.mark.parametrize(("each", "total"), [(-0.5, -1.5), (1e-9, 0.0)])
async def test_the_score_is_the_sum_over_the_replys_tokens(each: float, total: float) -> None:
    engine: Any = Reader(each)
    scored = await score(engine, Lesson([1, 2, 3, 4, 5], 2), None)
    assert (scored.logprob, scored.tokens) == (total, 3)
    assert engine.asked == [([1, 2, 3, 4, 5], 2, None)]
