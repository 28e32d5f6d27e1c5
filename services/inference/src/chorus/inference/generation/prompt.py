"""A conversation as token ids that fit the model's window. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from chorus.common.chat import Tokenizer, least_tokens, prompt_text, prompt_tokens
from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput, TooLarge


@dataclass(frozen=True)
class Prompt:
    """What the engine reads, and what of it did not fit: the oldest of either kind."""

    tokens: list[int]
    turns: list[Turn]
    """The same as messages."""
    dropped_messages: int = 0
    dropped_examples: int = 0
    """Each a question with its answer."""


Cut = tuple[int, int]
"""Where the examples, and where the conversation, begin to be shown."""


@dataclass(frozen=True)
class _Chat:
    """What there is to show; the conversation ends with the user's message, which always stays."""

    system: list[Turn]
    pairs: list[Sequence[Turn]]
    rest: list[Turn]

    def cuts(self) -> list[Cut]:
        """From all of it to the last message alone; the conversation begins with somebody who asks."""
        starts = [start for start, turn in enumerate(self.rest) if turn.role == "user"]
        return [(0, start) for start in starts] + [(n + 1, starts[-1]) for n in range(len(self.pairs))]

    def shown(self, cut: Cut) -> list[Turn]:
        """The messages that are left."""
        examples, start = cut
        return [*self.system, *chain.from_iterable(self.pairs[examples:]), *self.rest[start:]]


def compose(
    tokenizer: Tokenizer,
    messages: Sequence[Turn],
    examples: Sequence[Turn] = (),
    *,
    window: int,
    reserve: int,
    remembers: int | None,
) -> Prompt:
    """System messages, then examples, then the newest messages, so that `reserve` tokens of answer have room.

    What does not fit is left out by whole messages, oldest first: of the conversation, whose last message
    always stays; then of the examples. `remembers` is how many earlier messages the model can make use of at
    all: older ones are left out without a word, examples beyond it are counted.

    Raises `TooLarge` when the last message alone does not fit, `InvalidInput` where nobody asks. A long
    conversation takes a while: not for the event loop.
    """
    if messages[-1].role != "user":
        raise InvalidInput("The last message must be the user's.", code="no_question", param="messages")
    pairs = _pairs(examples)
    useless = 0 if remembers is None else max(0, len(pairs) - remembers // 2)
    chat = _Chat(
        [turn for turn in messages if turn.role == "system"],
        pairs[useless:],
        [turn for turn in messages if turn.role != "system"],
    )
    if remembers is not None:
        del chat.rest[: -1 - (remembers - 2 * len(chat.pairs))]
    room = window - min(reserve, window // 2)

    @cache
    def tokens_at(cut: Cut) -> list[int] | None:
        return _fitting(tokenizer, chat.shown(cut), room)

    cut = _first(chat.cuts(), lambda cut: tokens_at(cut) is not None)
    if cut is not None and (tokens := tokens_at(cut)) is not None:
        return Prompt(tokens, chat.shown(cut), dropped_messages=cut[1], dropped_examples=useless + cut[0])
    raise TooLarge(
        f"The message is too long for this model: it reads at most {room} tokens. Shorten it.",
        code="prompt_too_long",
        param="messages",
    )


def _pairs(examples: Sequence[Turn]) -> list[Sequence[Turn]]:
    """The examples, each a question and its answer."""
    pairs = [examples[at : at + 2] for at in range(0, len(examples), 2)]
    if any([turn.role for turn in pair] != ["user", "assistant"] for pair in pairs):
        raise InvalidInput(
            "Examples are questions of the user's and answers of the assistant's, in turn.",
            code="examples_not_in_pairs",
            param="examples",
        )
    return pairs


def _first(cuts: list[Cut], fits: Callable[[Cut], bool]) -> Cut | None:
    """The first cut that fits: mostly that is all; else by halving, since less is never more tokens."""
    if fits(cuts[0]):
        return cuts[0]
    at = bisect_left(cuts, True, key=fits)
    return cuts[at] if at < len(cuts) else None


def _fitting(tokenizer: Tokenizer, turns: Sequence[Turn], room: int) -> list[int] | None:
    """The prompt's tokens if they are no more than `room`. What is far too long is never tokenised."""
    long = sum(len(turn.content) for turn in turns) > room  # a token is a character at least
    if long and least_tokens(tokenizer, prompt_text(tokenizer, turns)) > room:
        return None
    tokens = prompt_tokens(tokenizer, turns)
    return tokens if len(tokens) <= room else None
