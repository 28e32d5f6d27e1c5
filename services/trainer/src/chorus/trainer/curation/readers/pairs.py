"""Pairs of a question and its answer, as JSON: a list, or an object a line.

[{"user": "…", "bot": "…"}, …]
{"prompt": "…", "completion": "…", "label": true}
{"instruction": "…", "input": "…", "output": "…"}    an input may be missing or empty
"""

from collections.abc import Container, Iterator

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.conversation import conversation
from chorus.trainer.curation.readers.entries import Entry, WrongShape, entries, shaped
from chorus.trainer.curation.readers.json_start import json_start
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.records import ReadTurn, Record
from chorus.trainer.curation.source import Source

ASKED = ("user", "instruction", "input", "prompt", "question", "query", "human")
ANSWERED = ("bot", "output", "completion", "answer", "response", "reply", "assistant", "gpt")
"""What people call the two sides, in fields and in columns; the first one that is there counts."""

_EXPECTED = 'Each entry needs two texts: "user" and "bot", or "input" and "output", or the like.'


def first_of(names: tuple[str, ...], there: Container[str]) -> str | None:
    """The first of these names that is there."""
    return next((name for name in names if name in there), None)


def _fits(head: str) -> bool:
    start = json_start(head)
    if not start or not start.is_of_objects or not first_of(ASKED, start.keys):
        return False
    return bool(first_of(ANSWERED, start.keys)) or not start.is_whole  # the answer may be far from the start


def _read(source: Source, _options: BuildOptions) -> Iterator[Record]:
    return shaped(entries(source), lambda entry: _pair(entry, source.name), _EXPECTED)


def _pair(entry: Entry, source: str) -> Record:
    fields = entry.value
    if not isinstance(fields, dict):
        raise WrongShape("is no object")
    asked, answered = first_of(ASKED, fields), first_of(ANSWERED, fields)
    if not asked or not answered:
        raise WrongShape("lacks one of its two texts")
    question, answer = fields[asked], fields[answered]
    if not isinstance(question, str) or not isinstance(answer, str):
        raise WrongShape(f'has a "{answered if isinstance(question, str) else asked}" that is no text')
    more = fields.get("input")
    if asked == "instruction" and isinstance(more, str) and more.strip():
        question = f"{question}\n\n{more}"
    label = fields.get("label")
    return conversation(
        [ReadTurn("user", question), ReadTurn("assistant", answer)],
        entry.where,
        source,
        label if isinstance(label, bool) else None,
    )


PAIRS = Reader("conversation JSON", _fits, _read)
