"""A conversation as token ids that fit the model's window. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from chorus.common.chat import Tokenizer, prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput, TooLarge


@dataclass(frozen=True)
class Prompt:
    """What the engine reads. `dropped` of the oldest messages did not fit."""

    tokens: list[int]
    dropped: int


def compose(
    tokenizer: Tokenizer, messages: Sequence[Turn], *, window: int, reserve: int, remembers: int | None
) -> Prompt:
    """The newest messages that leave room for `reserve` tokens of answer; system messages always stay.

    `remembers` is how many earlier messages the model can make use of at all: those beyond it are left
    out without a word. Raises `TooLarge` when the last message alone does not fit.
    """
    if messages[-1].role != "user":
        raise InvalidInput("The last message must be the user's.", code="no_question", param="messages")
    system = [turn for turn in messages if turn.role == "system"]
    rest = [turn for turn in messages if turn.role != "system"]
    if remembers is not None:
        rest = rest[-1 - remembers :]
    room = window - min(reserve, window // 2)
    for start in range(len(rest)):
        if rest[start].role == "assistant":
            continue  # a conversation begins with somebody asking
        tokens = prompt_tokens(tokenizer, [*system, *rest[start:]])
        if len(tokens) <= room:
            return Prompt(tokens, dropped=start)
    raise TooLarge(
        f"The message is too long for this model: it reads at most {room} tokens. Shorten it.",
        code="prompt_too_long",
        param="messages",
    )
