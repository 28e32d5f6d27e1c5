"""What mimicbot mined: `raw_messages.csv` (author_id, content) and `members.csv` (id, name).

It has neither times nor channels: the order is all there is. The other tables of its session folder are
made of these two, and are passed over.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.entries import Entry, shaped
from chorus.trainer.curation.readers.folder import Files, FolderReader, Plan, base, parent
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.readers.rows import Row, columns_of, rows, shown
from chorus.trainer.curation.records import EMPTY, Message, Record, author_by_name
from chorus.trainer.curation.source import Source

NAME = "mimicbot"
MESSAGES, MEMBERS = "raw_messages.csv", "members.csv"
_MADE = ("cleaned_messages.csv", "packaged_data.csv")
_TRAINING = ("training_data/train.csv", "training_data/test.csv")
_MOST_MEMBERS = 1_000_000  # a name each in memory; Discord's largest servers have about as many


def _takes(names: Sequence[str]) -> set[str]:
    there = set(names)
    sessions = {
        parent(name) for name in names if base(name) == MESSAGES and f"{parent(name)}{MEMBERS}" in there
    }
    return {
        name
        for name in names
        if (parent(name) in sessions and base(name) in {MESSAGES, MEMBERS, *_MADE})
        or (name.endswith(_TRAINING) and parent(parent(name)[:-1]) in sessions)
    }


def _plan(files: Files, taken: set[str]) -> Plan:
    messages = [name for name in files.names if name in taken and base(name) == MESSAGES]
    return Plan((name, _reader(_members(files, f"{parent(name)}{MEMBERS}"))) for name in messages)


def _members(files: Files, name: str) -> dict[str, str]:
    with files.open(name) as source:
        _need(source, "id", "name")
        members: dict[str, str] = {}
        for row in rows(source):
            if isinstance(row, Entry) and len(members) < _MOST_MEMBERS:
                cells = cast(Row, row.value)
                members[cells["id"]] = cells["name"]
        return members


def _need(source: Source, *columns: str) -> None:
    there = columns_of(source, ",")
    if not set(columns) <= set(there):
        raise InvalidInput(
            f"{source.name} needs the columns {shown(list(columns))}; it has {shown(there) or 'none'}.",
            code="unknown_columns",
            param="file",
        )


def _reader(members: dict[str, str]) -> Reader:
    def read(source: Source, _options: BuildOptions) -> Iterator[Record]:
        _need(source, "author_id", "content")
        yield from shaped(rows(source), lambda entry: _message(entry, members, source.name), "")

    return Reader(NAME, lambda _head: True, read)


def _message(entry: Entry, members: dict[str, str], source: str) -> Record:
    row = cast(Row, entry.value)
    author, text = row["author_id"].strip(), row["content"]
    if not text.strip():
        return EMPTY
    name = members.get(author, author)
    return Message(
        channel="",
        author=author if author.isdigit() else author_by_name(name),
        author_name=name,
        text=text,
        source=source,
    )


MIMICBOT = FolderReader(NAME, _takes, _plan)
