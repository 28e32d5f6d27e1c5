"""DiscordChatExporter's CSV: who spoke by id, and when, but no ids of messages and no replies.

The exporter puts every cell into quotation marks. A cell that starts with `=` is text like any other:
nothing here computes. Notices are told by their words.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.discord_export import (
    channel_of,
    file_names,
    is_notice,
    unusable,
)
from chorus.trainer.curation.readers.reader import Reader, cut_off
from chorus.trainer.curation.records import NOTICE, Dropped, Message, Record, account_name, author_by_name
from chorus.trainer.curation.source import Source

HEADER = ["AuthorID", "Author", "Date", "Content", "Attachments", "Reactions"]


class _BrokenRowError(ValueError):
    """A row that is not like the others, and why."""


def fits(head: str) -> bool:
    """A table with the exporter's columns."""
    first = head.lstrip().split("\n", 1)[0].rstrip("\r")
    return [name.strip('"') for name in first.split(",")] == HEADER


def read(source: Source, options: BuildOptions) -> Iterator[Record]:
    """The messages of one channel."""
    del options
    channel, number, broken = channel_of(source), 0, ""
    for row in _rows(source):
        if broken:
            yield _broken(source, number, broken)
        number, broken = number + 1, ""
        try:
            yield _record(_whole(row), source, channel, number)
        except _BrokenRowError as error:
            broken = str(error)  # if it is the last one, the file is cut off there
    if broken:
        yield cut_off(source)


def _rows(source: Source) -> Iterator[list[str] | csv.Error]:
    """The rows below the header; in the place of one that is no CSV, what is wrong with it."""
    rows = csv.reader((f"{line}\n" for line in source.lines()), strict=True)
    header = True
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield error
            continue
        if row is None:
            return
        if row and not header:
            yield row
        header = header and not row


def _whole(row: list[str] | csv.Error) -> list[str]:
    if isinstance(row, csv.Error):
        raise _BrokenRowError(str(row))
    if len(row) != len(HEADER):
        raise _BrokenRowError(f"{len(row)} columns where the header has {len(HEADER)}")
    return row


def _record(row: list[str], source: Source, channel: str, number: int) -> Record:
    author, name, date, text, attachments, _ = row
    try:
        when = datetime.fromisoformat(date)
    except ValueError:
        raise _BrokenRowError("its date is not like 2024-12-24T13:05:00+00:00") from None
    if is_notice(text):
        return NOTICE
    if reason := unusable(text, source, number):
        return reason
    return Message(
        channel=channel,
        author=author or author_by_name(name),
        author_name=name,
        text=text,
        at=(when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(),
        attachments=file_names(attachments.split(",")),
        source=source.name,
        account=account_name(name),
    )


def _broken(source: Source, number: int, what: str) -> Dropped:
    return Dropped("broken message", mend=f"{source.name}, message {number}: {what}.")


DISCORD_CSV = Reader("DiscordChatExporter CSV", fits, read)
