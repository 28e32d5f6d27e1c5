"""A version on disk: what was read, what is learned, who spoke. Written and read line by line.

    records.jsonl     all records, as they were read: a version can be built anew from them
    examples.jsonl    lines that decode as `Example` of the contracts
    people.json       {id of a person: {"names": [...], "messages": n, "accounts": [...]}}

The structs here are the contracts' models at the speed of a million: msgspec writes 1.5 million such lines
in the time in which pydantic writes 100,000.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from chorus.common.contracts.datasets import Split
from chorus.common.errors import InternalError
from chorus.trainer.curation.records import Dropped, Message, Read, ReadTurn, Record

RECORDS, EXAMPLES, PEOPLE = "records.jsonl", "examples.jsonl", "people.json"


class Person(msgspec.Struct):
    """Somebody whose words were read."""

    names: list[str]
    """As sources call them, in the order in which they were met."""
    messages: int = 0
    accounts: list[str] = []
    """The accounts' own names, where sources have them: sources without ids call people so."""


class Learned(msgspec.Struct, omit_defaults=True):
    """An `Example`, field by field."""

    messages: list[ReadTurn]
    label: bool
    contributors: list[str]
    source: str
    split: Split = "train"
    situational: bool = False


_ENCODER = msgspec.json.Encoder()
_RECORD: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Message | Read | Dropped)
_EXAMPLE = msgspec.json.Decoder(Learned)
_PEOPLE = msgspec.json.Decoder(dict[str, Person])


def lines(structs: Sequence[Record] | Sequence[Learned]) -> bytes:
    """One line of JSON for each. Raises `UnicodeEncodeError` for half a character (a lone surrogate)."""
    return _ENCODER.encode_lines(structs)


def read_records(path: Path) -> Iterator[Record]:
    """What an earlier build read, in the same order."""
    with path.open("rb") as file:
        for line in file:
            yield _RECORD.decode(line)


def set_aside(file: BinaryIO, offset: int) -> None:
    """Mark the examples from `offset` (bytes) to the end as those to check against."""
    file.seek(offset)
    aside = [_EXAMPLE.decode(line) for line in file]
    for example in aside:
        example.split = "validation"
    file.seek(offset)
    file.truncate()
    file.write(lines(aside))


def write_people(path: Path, people: dict[str, Person]) -> None:
    """Who spoke."""
    path.write_bytes(msgspec.json.format(_ENCODER.encode(people), indent=1))


def read_people(data: bytes) -> dict[str, Person]:
    """Who spoke. Raises `InternalError` where nobody can tell: it is only read when its hash was right."""
    try:
        return _PEOPLE.decode(data)
    except msgspec.DecodeError as error:
        raise InternalError(f"{PEOPLE} cannot be read ({error}).", code="people_unreadable") from None
