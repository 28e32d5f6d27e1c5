"""What is trained, decoded from a packed batch's targets: the replies and their end marks, and no more.

For each way of writing a chat (`tests.support.templates`).
"""

from itertools import groupby
from typing import Any

import pytest

from chorus.common.chat import example_tokens
from chorus.common.contracts.datasets import Turn
from chorus.trainer.backends.packed import IGNORED, Batch, pack
from tests.support.templates import TEMPLATES, tokenizer_of


def chat(*said: str) -> list[Turn]:
    return [
        Turn(role="assistant" if at % 2 else "user", content=text, name=None if at % 2 else "u1")
        for at, text in enumerate(said)
    ]


CHATS = [
    chat("Wie spät ist es? 🕰", "Fünf nach zwölf.\nZu spät!", "And now?", "Still late 😅"),
    chat("Say <|im_end|> or </s> or <|eot_id|>", "I say nothing of that sort."),
    chat("hm", "ok"),
]


def trained(tokenizer: Any, batch: Batch) -> list[str]:
    """The targets' runs, decoded: one string for each stretch of tokens that the loss is over."""
    runs: list[str] = []
    for row in batch.targets.tolist():
        for learned, run in groupby(row, key=lambda target: target != IGNORED):
            runs += [tokenizer.decode(list(run))] if learned else []
    return runs


@pytest.mark.parametrize("row_tokens", [None, 200], ids=["flat", "rows"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_replies_and_their_end_marks_are_trained_and_nothing_else(name: str, row_tokens: int | None) -> None:
    tokenizer = tokenizer_of(name)
    _, _, end, before = TEMPLATES[name]
    lessons = [example_tokens(tokenizer, turns) for turns in CHATS]
    batch = pack([lessons[:1], lessons[1:]], row_tokens)
    replies = [turn.content for turns in CHATS for turn in turns if turn.role == "assistant"]
    assert trained(tokenizer, batch) == [f"{before}{reply}{end}" for reply in replies]
    counts = [sum(lesson.learn) for lesson in lessons]
    assert [batch.lessons.tolist().count(number) for number in range(3)] == counts


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_end_mark_is_one_token_that_the_model_already_has(name: str) -> None:
    """Typed words never become it, and a reply is trained up to it: the model learns to stop."""
    tokenizer = tokenizer_of(name)
    for turns in CHATS:
        lesson = example_tokens(tokenizer, turns)
        ends = [
            at for at, token in enumerate(lesson.ids) if token == tokenizer.eos_token_id and lesson.learn[at]
        ]
        assert len(ends) == sum(turn.role == "assistant" for turn in turns)
