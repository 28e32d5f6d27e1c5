"""A conversation as token ids that fit the model's window. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from chorus.common.chat import Tokenizer, least_tokens, prompt_text, prompt_tokens
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
    out without a word. Raises `TooLarge` when the last message alone does not fit. A long conversation
    takes a while: not for the event loop.
    """
    if messages[-1].role != "user":
        raise InvalidInput("The last message must be the user's.", code="no_question", param="messages")
    system = [turn for turn in messages if turn.role == "system"]
    rest = [turn for turn in messages if turn.role != "system"]
    if remembers is not None:
        rest = rest[-1 - remembers :]
    room = window - min(reserve, window // 2)

    @cache
    def tokens_from(start: int) -> list[int] | None:
        return _fitting(tokenizer, [*system, *rest[start:]], room)

    start = _first(
        [start for start, turn in enumerate(rest) if turn.role != "assistant"],  # somebody asks first
        lambda start: tokens_from(start) is not None,
    )
    if start is not None and (tokens := tokens_from(start)) is not None:
        return Prompt(tokens, dropped=start)
    raise TooLarge(
        f"The message is too long for this model: it reads at most {room} tokens. Shorten it.",
        code="prompt_too_long",
        param="messages",
    )


def _first(starts: list[int], fits: Callable[[int], bool]) -> int | None:
    """The first start that fits: mostly that is all; else by halving, since less is never more tokens."""
    if fits(starts[0]):
        return starts[0]
    at = bisect_left(starts, True, key=fits)
    return starts[at] if at < len(starts) else None


def _fitting(tokenizer: Tokenizer, turns: Sequence[Turn], room: int) -> list[int] | None:
    """The prompt's tokens if they are no more than `room`. What is far too long is never tokenised."""
    if least_tokens(tokenizer, prompt_text(tokenizer, turns)) > room:
        return None
    tokens = prompt_tokens(tokenizer, turns)
    return tokens if len(tokens) <= room else None
