"""The rows of a table (CSV, TSV) by the names of its columns, one after the other."""

import csv
from collections.abc import Iterator

from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers.entries import Entry
from chorus.trainer.curation.readers.reader import cut_off
from chorus.trainer.curation.records import Dropped
from chorus.trainer.curation.source import Source

DELIMITERS = ",;\t"
_COLUMNS_SHOWN = 8
Row = dict[str, str]


def rows(source: Source, delimiter: str = ",") -> Iterator[Entry | Dropped]:
    """An `Entry` with a `Row` for each row below the header, and a `Dropped` for one that is cut off."""
    lines = _Lines(source)
    table = csv.reader(lines, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(table, [])]
        begins = table.line_num + 1
        lines.quotes = 0
        for cells in table:
            if cells:
                yield cut_off(source) if lines.end_within(header, cells) else _row(header, cells, begins)
            begins = table.line_num + 1
            lines.quotes = 0
    except csv.Error as error:
        raise InvalidInput(
            f"{source.name}, about line {table.line_num}: this is no table ({error}).",
            code="broken_table",
            param="file",
        ) from None


def delimiter_of(head: str) -> str:
    """What parts the columns: what the header has most of."""
    header = head.lstrip().split("\n", 1)[0]
    return max(DELIMITERS, key=header.count)


def columns_of(source: Source, delimiter: str) -> list[str]:
    """The names in the header."""
    return [name.strip() for name in next(csv.reader(_Lines(source), delimiter=delimiter), [])]


def shown(columns: list[str]) -> str:
    """Columns by name, for people."""
    more = f" and {len(columns) - _COLUMNS_SHOWN} more" if len(columns) > _COLUMNS_SHOWN else ""
    return ", ".join(f'"{in_short(name)}"' for name in columns[:_COLUMNS_SHOWN]) + more


def _row(header: list[str], cells: list[str], line: int) -> Entry | Dropped:
    if len(cells) == len(header):
        return Entry(f"Line {line}", dict(zip(header, cells, strict=True)))
    return Dropped(
        "wrong shape", f"Line {line} has {len(cells)} cells, the header {len(header)}: it is left out."
    )


class _Lines:
    """A file's lines with their ends, for cells may hold several; without blank ones before the header."""

    def __init__(self, source: Source) -> None:
        self.quotes = 0
        """Signs that open and close a cell, in the row that is read; an odd count is a cell left open."""
        self._lines = source.lines()
        self._ends_whole = _ends_with_a_line_end(source)
        self._next = next(self._lines, None)
        while self._next is not None and not self._next.strip():
            self._next = next(self._lines, None)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self._next is None:
            raise StopIteration
        line, self._next = self._next, next(self._lines, None)
        self.quotes += line.count('"')
        return f"{line}\n"

    def end_within(self, header: list[str], cells: list[str]) -> bool:
        """Whether the row that was just read is the last one, and not all there."""
        if self._next is not None:
            return False
        left_open = self.quotes % 2 == 1 and cells[-1].endswith("\n")
        return left_open or (len(cells) < len(header) and not self._ends_whole)


def _ends_with_a_line_end(source: Source) -> bool:
    with source.open() as file:
        file.seek(-min(source.size, 4), 2)
        return file.read().rstrip(b"\x00")[-1:] in (b"\n", b"\r")
