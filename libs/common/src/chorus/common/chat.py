"""From a chat to tokens: one way for training and for serving, so that a model is asked as it was taught.

A chat is rendered by the tokenizer's own template, or by a plain one where it has none, and is tokenised
piece by piece: each assistant reply, with the end-of-turn token that closes it, is a piece of its own.
What trains differs from what serves only in the mask that says which pieces are to be learned.

Nothing here imports a model library: a tokenizer of `transformers` fits the protocol below.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput

PLAIN_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' else '' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
"""For a base model without a template. It uses only tokens the model has: vLLM serves no added ones."""


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


@dataclass(frozen=True)
class Tokens:
    """A chat as token ids; `learn[i]` says whether token i is part of a reply to learn."""

    ids: list[int]
    learn: list[bool]


def prepare(tokenizer: Tokenizer) -> None:
    """Give a tokenizer without a template the plain one. Do this once, after loading it."""
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_TEMPLATE


def template_sha256(tokenizer: Tokenizer) -> str:
    """Hash of the template: an adapter is served only with the template it was trained with."""
    return hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()


def prompt_tokens(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[int]:
    """The chat so far, and the words that make the model answer."""
    text = _render(tokenizer, turns, answer_next=True)
    so_far = _render(tokenizer, turns)
    tokens = _pieces(tokenizer, turns)
    if tokens is None or not text.startswith(so_far):
        return tokenizer.encode(text, add_special_tokens=False)
    return tokens.ids + tokenizer.encode(text[len(so_far) :], add_special_tokens=False)


def example_tokens(tokenizer: Tokenizer, turns: Sequence[Turn]) -> Tokens:
    """A whole chat with every assistant reply that answers somebody to be learned.

    A lone assistant turn is plain text: no template, all of it learned, closed by the end token. With a
    template that rewrites what came earlier, only the last reply is learned.
    """
    if len(turns) == 1 and turns[0].role == "assistant":
        text = _defused(tokenizer, turns[0].content)
        ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        return Tokens(ids, [True] * len(ids))
    return _pieces(tokenizer, turns) or _last_reply(tokenizer, turns)


def _pieces(tokenizer: Tokenizer, turns: Sequence[Turn]) -> Tokens | None:
    """The chat, cut before and after each reply, each piece tokenised on its own.

    None where the template shows earlier messages in another way once later ones have come.
    """
    ids: list[int] = []
    learn: list[bool] = []
    done = ""
    for index, turn in enumerate(turns):
        if turn.role != "assistant" or index == 0:  # what nobody asked for is no reply
            continue
        asked = _render(tokenizer, turns[:index], answer_next=True)
        answered = _render(tokenizer, turns[: index + 1])
        if not asked.startswith(done) or not answered.startswith(asked):
            return None
        reply, rest = _split_after_end(tokenizer, answered[len(asked) :])
        for text, learned in ((asked[len(done) :], False), (reply, True), (rest, False)):
            piece = tokenizer.encode(text, add_special_tokens=False)
            ids += piece
            learn += [learned] * len(piece)
        done = answered
    tail = tokenizer.encode(_render(tokenizer, turns)[len(done) :], add_special_tokens=False)
    return Tokens(ids + tail, learn + [False] * len(tail))


def _last_reply(tokenizer: Tokenizer, turns: Sequence[Turn]) -> Tokens:
    """The chat with only its last message, a reply, to be learned."""
    asked = _render(tokenizer, turns[:-1], answer_next=True)
    answered = _render(tokenizer, turns)
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


def _render(tokenizer: Tokenizer, turns: Sequence[Turn], *, answer_next: bool = False) -> str:
    messages = [{"role": turn.role, "content": _worded(tokenizer, turn)} for turn in turns]
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
