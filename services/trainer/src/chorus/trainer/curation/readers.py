"""Readers: the text of a file in, examples out, one after the other.

    conversation JSON   [{"user": "…", "bot": "…"}, …]
    messages JSONL      {"messages": [{"role": "user", "content": "…"}, …]}   a line each
    plain text          paragraphs, parted by empty lines

A record that cannot be used is passed over with a reason, and counted; a file that is not what it looks
like ends the reading with an error that says where.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from chorus.common.contracts.datasets import Turn
from chorus.common.errors import InvalidInput

_HALVES = re.compile("[\ud800-\udfff]")  # what is left of an emoji that a program has cut through
TEXT_PIECE = 2000  # characters of plain text in one example, cut at a paragraph's end where there is one


@dataclass(frozen=True)
class Dropped:
    """A record that was read but cannot be learned from."""

    reason: str
    mend: str = ""
    """Where it is and what is wrong with it, if people would rather mend it than do without it."""


Read = list[Turn] | Dropped


class _Pair(BaseModel):
    """A question and its answer."""

    model_config = ConfigDict(extra="ignore")
    user: str
    bot: str


class _Chat(BaseModel):
    """One line of a messages file."""

    model_config = ConfigDict(extra="ignore")
    messages: list[Turn]


def read_pairs(text: str) -> Iterator[Read]:
    """Conversation JSON: a list of `{"user": …, "bot": …}`."""
    records: list[object] = parse_json(text)
    for number, record in enumerate(records, start=1):
        try:
            pair = _Pair.model_validate(record)
        except ValidationError:
            raise InvalidInput(
                f'Entry {number} is not like the others: each needs the texts "user" and "bot".',
                code="wrong_shape",
            ) from None
        turns = [Turn(role="user", content=pair.user), Turn(role="assistant", content=pair.bot)]
        yield _checked(turns, f"Entry {number}")


def read_messages(text: str) -> Iterator[Read]:
    """Messages JSONL: one chat a line, as many services export them."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            chat = _Chat.model_validate(parse_json(line, first_line=number))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise InvalidInput(
                f"Line {number}: `{where}` is missing or wrong. Each line needs "
                '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.',
                code="wrong_shape",
            ) from None
        yield _checked(chat.messages, f"Line {number}")


def read_text(text: str) -> Iterator[Read]:
    """Plain text, in pieces of whole paragraphs."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for part in (paragraph[at : at + TEXT_PIECE] for at in range(0, len(paragraph), TEXT_PIECE)):
            if piece and len(piece) + len(part) > TEXT_PIECE:
                yield [Turn(role="assistant", content=piece)]
                piece = ""
            piece = f"{piece}\n\n{part}" if piece else part
    yield [Turn(role="assistant", content=piece)]


def parse_json(text: str, *, first_line: int = 1) -> Any:
    """JSON as Python has it. Raises `InvalidInput` that says where it is broken."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where, what = f"Line {first_line + error.lineno - 1}, column {error.colno}", error.msg
    except RecursionError:
        where, what = f"Line {first_line}", "nested too deep"
    except ValueError:  # Python reads no number that would take it minutes
        where, what = f"Line {first_line}", "a number has too many digits"
    raise InvalidInput(f"{where}: this is not JSON ({what}).", code="broken_json")


def _checked(turns: list[Turn], where: str) -> Read:
    """The chat up to its last reply, if there is anything to learn from it."""
    while turns and turns[-1].role != "assistant":
        turns = turns[:-1]
    if not turns:
        return Dropped("no reply to learn")
    if any(not turn.content.strip() for turn in turns):
        return Dropped("empty message")
    if any(_HALVES.search(f"{turn.name}{turn.content}") for turn in turns):
        return Dropped(
            "half a character", f"{where} has half a character (\\ud800 to \\udfff alone), and is left out."
        )
    return turns
