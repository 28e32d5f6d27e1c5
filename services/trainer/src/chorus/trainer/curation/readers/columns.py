"""Tables (CSV, TSV) with a header: a question and its answer in each row, or one message of a chat.

The columns are known by what people call them, or by the options `user` and `bot`. A cell is text,
whatever a spreadsheet would make of `=HYPERLINK(…)`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import cast

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers.conversation import conversation
from chorus.trainer.curation.readers.entries import Entry, WrongShape, shaped
from chorus.trainer.curation.readers.pairs import ANSWERED, ASKED, first_of
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.readers.rows import Row, columns_of, delimiter_of, rows, shown
from chorus.trainer.curation.readers.times import seconds
from chorus.trainer.curation.records import EMPTY, Message, ReadTurn, Record, author_by_name
from chorus.trainer.curation.source import HEAD, Source

AUTHOR_IDS = ("author_id", "authorid", "user_id", "userid", "sender_id")
AUTHORS = ("author", "author_name", "username", "sender", "from", "nick", "name", "user")
CONTENTS = ("content", "contents", "message", "text", "body", "msg")
DATES = ("date", "timestamp", "time", "created_at", "sent_at", "datetime")
CHANNELS = ("channel", "channel_id", "channel_name", "room")
IDS = ("id", "message_id")
REPLIES = ("reply_to", "reply_to_id", "in_reply_to")

_NAME = re.compile(r"[^\W\d][\w .()/#-]{0,39}")  # of a column; no `12:05`, no ` world`
_ROWS_LOOKED_AT = 20
_EXPECTED = "Each row needs an author, and times are written like 2024-03-01 12:30."
Lower = dict[str, str]
"""The columns' names as they are in the file, by their names in small letters."""


def _fits(head: str) -> bool:
    """Whether it begins with names of columns, and the rows below have as many cells."""
    whole = head.lstrip() if len(head) < HEAD else head.lstrip().rpartition("\n")[0]
    try:
        table = csv.reader(io.StringIO(whole), delimiter=delimiter_of(whole))
        header = next(table, [])
        widths = [len(cells) for cells, _ in zip(table, range(_ROWS_LOOKED_AT), strict=False) if cells]
    except csv.Error:
        return False
    named = header if header[:1] != [""] else header[1:]  # without the numbers of rows that pandas writes
    if len(header) < 2 or len(set(header)) < len(header) or not all(map(_NAME.fullmatch, named)):
        return False
    return _is_known({name.lower(): name for name in header}) or (
        bool(widths) and all(width == len(header) for width in widths)
    )


def _is_known(names: Lower) -> bool:
    pairs = first_of(ASKED, names) and first_of(ANSWERED, names)
    return bool(pairs or (first_of(CONTENTS, names) and first_of(AUTHOR_IDS + AUTHORS, names)))


def _read(source: Source, options: BuildOptions) -> Iterator[Record]:
    delimiter = delimiter_of(source.head())
    columns = columns_of(source, delimiter)
    as_record = _as_record(columns, options, source.name)
    yield from shaped(rows(source, delimiter), as_record, _EXPECTED)


def _as_record(columns: list[str], options: BuildOptions, source: str) -> Callable[[Entry], Record]:
    names = {name.lower(): name for name in columns}
    asked = _chosen(options.user, columns, "user") or names.get(first_of(ASKED, names) or "")
    answered = _chosen(options.bot, columns, "bot") or names.get(first_of(ANSWERED, names) or "")
    if asked and answered:
        return lambda entry: _pair(entry, asked, answered, source)
    if options.user or options.bot or not _is_known(names):
        missing = "bot" if asked else "user"
        raise InvalidInput(
            f"{source} is a table without a known column for `{missing}`; it has {shown(columns)}. "
            f"Say which one it is with `{missing}=…`.",
            code="unknown_columns",
            param=missing,
        )
    return lambda entry: _message(entry, names, source)


def _chosen(column: str | None, columns: list[str], param: str) -> str | None:
    if column is None or column in columns:
        return column
    raise InvalidInput(
        f'The table has no column "{in_short(column)}"; it has {shown(columns)}.',
        code="unknown_columns",
        param=param,
    )


def _pair(entry: Entry, asked: str, answered: str, source: str) -> Record:
    row = cast(Row, entry.value)
    turns = [ReadTurn("user", row[asked]), ReadTurn("assistant", row[answered])]
    return conversation(turns, entry.where, source)


def _message(entry: Entry, names: Lower, source: str) -> Record:
    row = cast(Row, entry.value)

    def cell(known: tuple[str, ...]) -> str:
        name = first_of(known, names)
        return row[names[name]].strip() if name else ""

    text, dated = cell(CONTENTS), first_of(DATES, names)
    at = seconds(cell(DATES)) if dated else 0.0
    if at is None:
        raise WrongShape(f'has no time that can be read in the column "{in_short(names[dated or ""])}"')
    if not text:
        return EMPTY
    author_id, author = cell(AUTHOR_IDS), cell(AUTHORS)
    if not author_id and not author:
        raise WrongShape("names no author")
    return Message(
        channel=cell(CHANNELS),
        author=author_id if author_id.isdigit() else author_by_name(author_id or author),
        author_name=author or author_id,
        text=text,
        at=at,
        id=cell(IDS),
        reply_to=cell(REPLIES),
        source=source,
    )


COLUMNS = Reader("table (CSV)", _fits, _read)
