"""Building a version from records, in a folder that is gone afterwards."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.datasets import BuildOptions, Card, Example
from chorus.trainer.curation.build import Allowed, build
from chorus.trainer.curation.records import Message, Read, ReadTurn, Record
from chorus.trainer.curation.stored import EXAMPLES, PEOPLE, RECORDS, Person, read_people, read_records
from chorus.trainer.curation.tokens import TokenCounter

COUNTER = TokenCounter(STARTER_FOLDER)
START = 1_700_000_000.0
"""Seconds since 1970: in November 2023."""

WORDS = ("amber", "brisk", "cedar", "delta", "ember", "fjord", "grove", "hazel", "ivory", "jolly", "karma")


@dataclass(frozen=True)
class Version:
    """What was built."""

    card: Card
    examples: list[Example]
    records: list[Record]
    people: dict[str, Person]

    def texts(self) -> list[list[str]]:
        """Each example as lines: `u1: hello`, `A: hello` for the assistant, `U: hello` for one without."""
        return [
            [f"{turn.name or turn.role[0].upper()}: {turn.content}" for turn in example.messages]
            for example in self.examples
        ]


def built(
    records: Sequence[Record],
    *,
    label: bool = True,
    allowed: Allowed | None = None,
    tell: Callable[[str, int], None] = lambda _stage, _done: None,
    notes: Callable[[], Sequence[str]] = tuple,
    **options: Any,
) -> Version:
    """Build these, with the options that differ from the defaults."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = build(
            records,
            folder,
            BuildOptions(**options),
            label=label,
            contributor="42",
            allowed=allowed or Allowed(),
            counter=COUNTER,
            format_name=lambda: "test",
            tell=tell,
            notes=notes,
        )
        lines = (folder / EXAMPLES).read_bytes().splitlines()
        return Version(
            made.card,
            [Example.model_validate_json(line) for line in lines],
            list(read_records(folder / RECORDS)),
            read_people((folder / PEOPLE).read_bytes()),
        )


_ids = count(1)


def said(author: str, text: str, minute: float = 0, **more: Any) -> Message:
    """A message, so many minutes after the start. The author `1` is called `1 name`."""
    usual: dict[str, Any] = {
        "channel": "general",
        "author_name": f"{author} name",
        "at": START + minute * 60,
        "id": str(next(_ids)),
        "source": "file.json",
    }
    return Message(author=author, text=text, **{**usual, **more})


def words(number: int) -> str:
    """Two words and a number, like no other message's."""
    return f"{WORDS[number % len(WORDS)]} {WORDS[number // len(WORDS) % len(WORDS)]} {number}"


def pair(number: int, **more: Any) -> Read:
    """A question and its answer."""
    turns = [ReadTurn("user", f"What is {number}?"), ReadTurn("assistant", f"It is {words(number)}.")]
    return Read(turns, **more)


def dialogues(number: int) -> list[Message]:
    """So many conversations of a question and an answer, two hours apart."""
    return [
        said(author, f"{words(each)} {turn}", each * 120 + turn)
        for each in range(number)
        for turn, author in enumerate(("1", "2"))
    ]
