"""From a chat to tokens: one way for training and for serving, so that a model is asked as it was taught.

A chat is rendered by the tokenizer's own template, or by a plain one where it has none, and is tokenised
piece by piece: each assistant reply, with the end-of-turn token that closes it, is a piece of its own.
What trains differs from what serves only in the mask that says which pieces are to be learned.

Nothing here imports a model library: a tokenizer of `transformers` fits the protocol below.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, Protocol

from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput

PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""For a base model without a template. It uses only tokens the model has: vLLM serves no added ones."""

Message = dict[str, str]
"""A turn as templates want it."""


class Tokenizer(Protocol):
    """What is needed of a tokenizer."""

    chat_template: Any
    added_tokens_decoder: Mapping[int, Any]
    eos_token: str
    eos_token_id: int

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:
        """Render a chat as text (`tokenize=False`)."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Text as token ids."""
        ...

    def get_vocab(self) -> Mapping[str, int]:
        """All tokens by name."""
        ...


@dataclass(frozen=True)
class Tokens:
    """A chat as token ids; `learn[i]` says whether token i is part of a reply to learn."""

    ids: list[int]
    learn: list[bool]


def prepare(tokenizer: Tokenizer) -> None:
    """Give a tokenizer without a template the plain one. Do this once, after loading it."""
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE
    # One that was saved with a cut-off drops it at its first use: that must not be in two threads at once.
    tokenizer.encode("", add_special_tokens=False)


def template_sha256(tokenizer: Tokenizer) -> str:
    """Hash of the template: an adapter is served only with the template it was trained with."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def prompt_text(tokenizer: Tokenizer, turns: Sequence[Turn]) -> str:
    """The chat so far, and the words that make the model answer, as the template writes them."""
    return _render(tokenizer, as_messages(tokenizer, turns), answer_next=True)


def prompt_tokens(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[int]:
    """The chat so far, and the words that make the model answer."""
    messages = as_messages(tokenizer, turns)
    text = _render(tokenizer, messages, answer_next=True)
    pieces = _pieces(tokenizer, messages, text)
    return pieces.ids if pieces else tokenizer.encode(text, add_special_tokens=False)


def as_messages(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[Message]:
    """The turns as templates want them: names before words, and no control token in what people typed."""
    return [{"role": turn.role, "content": _worded(tokenizer, turn)} for turn in turns]


def least_tokens(tokenizer: Tokenizer, text: str) -> int:
    """A number of tokens that `text` has at least, known without tokenising it.

    A token stands for no more characters than its name has. Blanks count for nothing, since some
    tokenizers drop them, and letters count as composed, since some compose them.
    """
    letters = unicodedata.normalize("NFC", "".join(text.split()))
    return len(letters) // _longest_token(tokenizer)


def example_tokens(tokenizer: Tokenizer, turns: Sequence[Turn]) -> Tokens:
    """A whole chat with every assistant reply that answers somebody to be learned.

    A lone assistant turn is plain text: no template, all of it learned, closed by the end token. With a
    template that rewrites what came earlier, only the last reply is learned.
    """
    if len(turns) == 1 and turns[0].role == "assistant":
        text = _defused(tokenizer, turns[0].content)
        ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        return Tokens(ids, [True] * len(ids))
    messages = as_messages(tokenizer, turns)
    text = _render(tokenizer, messages)
    return _pieces(tokenizer, messages, text) or _last_reply(tokenizer, messages, text)


def _pieces(tokenizer: Tokenizer, messages: list[Message], text: str) -> Tokens | None:
    """`text`, cut before and after each reply, each piece tokenised on its own.

    None where the template shows earlier messages in another way once later ones have come.
    """
    exchanges = _cut(tokenizer, messages, text)
    if exchanges is None:
        return None
    ids: list[int] = []
    learn: list[bool] = []
    for asked, answer in exchanges:
        reply, rest = _split_after_end(tokenizer, answer)
        for part, learned in ((asked, False), (reply, True), (rest, False)):
            piece = tokenizer.encode(part, add_special_tokens=False)
            ids += piece
            learn += [learned] * len(piece)
    done = sum(map(len, chain.from_iterable(exchanges)))
    tail = tokenizer.encode(text[done:], add_special_tokens=False)
    return Tokens(ids + tail, learn + [False] * len(tail))


def _cut(tokenizer: Tokenizer, messages: list[Message], text: str) -> list[tuple[str, str]] | None:
    """The start of `text` as (what leads to a reply, the reply), up to the last one; None if it cannot be.

    Most templates write an exchange in the same way after a short past as after a long one. Where that
    holds, as the text itself shows, the work grows with the chat and not with its square.
    """
    exchanges = _exchanges(messages)
    for whole_past in (False, True):
        cut = _said(tokenizer, exchanges, whole_past=whole_past)
        if cut is not None and text.startswith("".join(chain.from_iterable(cut))):
            return cut
    return None


def _exchanges(messages: list[Message]) -> list[list[Message]]:
    """The chat up to its last reply, in parts that each end with a reply to somebody."""
    replies = (at for at, message in enumerate(messages) if message["role"] == "assistant")
    ends = [at + 1 for at in replies if at > 0]  # what nobody asked for is no reply
    return [messages[start:end] for start, end in pairwise([0, *ends])]


def _said(
    tokenizer: Tokenizer, exchanges: list[list[Message]], *, whole_past: bool
) -> list[tuple[str, str]] | None:
    """What each exchange adds to the text, after all those before it or after the first alone.

    None where one changes what was written before.
    """
    past: list[Message] = []
    written = ""
    said: list[tuple[str, str]] = []
    for exchange in exchanges:
        asked = _render(tokenizer, past + exchange[:-1], answer_next=True)
        answered = _render(tokenizer, past + exchange)
        if not asked.startswith(written) or not answered.startswith(asked):
            return None
        said.append((asked[len(written) :], answered[len(asked) :]))
        if whole_past or not past:
            past, written = past + exchange, answered
    return said


def _last_reply(tokenizer: Tokenizer, messages: list[Message], answered: str) -> Tokens:
    """The chat with only its last message, a reply, to be learned."""
    asked = _render(tokenizer, messages[:-1], answer_next=True)
    if not answered.startswith(asked):
        raise InvalidInput(
            "This base model's chat template writes a reply otherwise than it asks for one: "
            "chats cannot be learned with it. Choose another base model.",
            code="template_not_trainable",
        )
    prompt = tokenizer.encode(asked, add_special_tokens=False)
    reply, rest = _split_after_end(tokenizer, answered[len(asked) :])
    learned = tokenizer.encode(reply, add_special_tokens=False)
    after = tokenizer.encode(rest, add_special_tokens=False)
    return Tokens(
        prompt + learned + after, [False] * len(prompt) + [True] * len(learned) + [False] * len(after)
    )


def _split_after_end(tokenizer: Tokenizer, text: str) -> tuple[str, str]:
    """A reply up to and with its end token, and what the template puts after it.

    A template that closes a reply in another way keeps all of it: then that is what ends the reply.
    """
    reply, end, rest = text.rpartition(tokenizer.eos_token)
    return (reply + end, rest) if end else (text, "")


def _render(tokenizer: Tokenizer, messages: list[Message], *, answer_next: bool = False) -> str:
    rendered: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer_next)
    return rendered


def _worded(tokenizer: Tokenizer, turn: Turn) -> str:
    content = f"{turn.name}: {turn.content}" if turn.name else turn.content
    return _defused(tokenizer, content)


def _defused(tokenizer: Tokenizer, text: str) -> str:
    """Text in which nothing reads as a control token: nobody ends the model's turn by typing its name."""
    for token in _control_tokens(tokenizer):
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


@lru_cache(maxsize=8)
def _control_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """All tokens that mean something, those included that have no role in transformers' own list."""
    return tuple(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)


@lru_cache(maxsize=8)
def _longest_token(tokenizer: Tokenizer) -> int:
    """Characters in the longest token's name, which has one for each byte or character it stands for."""
    return max(map(len, tokenizer.get_vocab()))
