"""How likely a model finds given replies: the sum over the tokens that training would have it learn."""

from collections.abc import Sequence
from dataclasses import dataclass

from chorus.common.chat import Tokenizer, example_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import ReplyScore
from chorus.common.errors import TooLarge
from chorus.inference.generation.ports import Adapter, Engine
from chorus.inference.generation.prompt import Prompt, compose

ENDS_WITH = 8  # tokens that close a reply, at most
WRITTEN = 1  # token that engines write where they only have to read


@dataclass(frozen=True)
class Lesson:
    """A chat with its reply, as training makes it: the reply is `tokens[start:]`, the end token included."""

    tokens: list[int]
    start: int


def lessons(
    tokenizer: Tokenizer,
    messages: Sequence[Turn],
    replies: Sequence[str],
    *,
    window: int,
    remembers: int | None,
) -> tuple[Prompt, list[Lesson]]:
    """The prompt as it would be asked, and each reply after it.

    Raises `TooLarge` when a reply does not fit beside the last message, and what `compose` raises.
    """
    longest = max(len(tokenizer.encode(reply, add_special_tokens=False)) for reply in replies)
    reserve = longest + ENDS_WITH + WRITTEN
    prompt = compose(tokenizer, messages, window=window, reserve=reserve, remembers=remembers)
    made = [_lesson(tokenizer, prompt.turns, reply) for reply in replies]
    if max(len(lesson.tokens) for lesson in made) + WRITTEN > window:
        raise TooLarge(
            f"A reply is too long for this model: with its question it may have {window - WRITTEN} tokens.",
            code="reply_too_long",
            param="replies",
        )
    return prompt, made


def _lesson(tokenizer: Tokenizer, turns: Sequence[Turn], reply: str) -> Lesson:
    """The last stretch of what is to be learned is the reply."""
    made = example_tokens(tokenizer, [*turns, Turn(role="assistant", content=reply)])
    end = len(made.learn)
    while not made.learn[end - 1]:
        end -= 1
    start = end
    while made.learn[start - 1]:
        start -= 1
    return Lesson(made.ids[:end], start)


async def score(engine: Engine, lesson: Lesson, adapter: Adapter | None) -> ReplyScore:
    """The reply's log-likelihood. Raises what the engine raises."""
    each = await engine.score(lesson.tokens, lesson.start, adapter)
    return ReplyScore(logprob=min(0.0, sum(each)), tokens=len(each))
