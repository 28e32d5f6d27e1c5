"""Which lines of a DiscordChatExporter TXT begin a message: `[12/24/2024 1:05 PM] alice`.

People paste such lines into their messages, too. A line counts as a header if

- its date has the shape of the file's first one;
- the message before it has ended: with two empty lines, or with its reactions and one. In 2020 it was one
  always; the number at the end of the file tells which layout it is;
- its time fits, where there are more such lines than the file says that it has messages. The longest row of
  them that runs one way in time is taken: a quote of another day falls out of it.

This needs the whole file, so it is read twice: here, keeping some bytes for each header, and for the texts.
"""

import re
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from math import inf, isnan, nan
from typing import NamedTuple

from chorus.trainer.curation.readers import discord_dates
from chorus.trainer.curation.readers.discord_dates import ORDERS, SLACK, Order, Stamp
from chorus.trainer.curation.source import Source

RULE = "=" * 62
REACTIONS = "{Reactions}"
_HEADER = re.compile(r"\[([^\[\]]{8,60})\] (\S.{0,99})")
_FOOTER = re.compile(r"Exported (\d(?:.{0,30}\d)?) message\(s\)")
_NOT_DIGIT = re.compile(r"\D+")  # thousands are parted by whatever the language has


class Line(NamedTuple):
    """A line below the preamble, and what it would be as a header."""

    text: str
    stamp: Stamp | None = None
    """None: it is no header, whatever its time."""
    name: str = ""
    apart: bool = False
    """Whether the message before it has ended as messages do today."""
    odd: bool = False
    """Whether it looks like a header, but for a date that is not written like the first one."""


@dataclass(frozen=True)
class Plan:
    """What one has to know of a whole file to read it."""

    order: Order
    headers: bytes
    """For each line with a stamp: whether it begins a message."""
    announced: int | None
    """Messages, as the end of the file says; None where the end is missing."""
    spaced: bool
    """Whether messages end as they do today."""


def lines_below(source: Source) -> Iterator[Line]:
    """All lines below the preamble."""
    before = _Before()
    rules = 0
    for text in source.lines():
        if rules == 2:
            yield before.line(text)
        rules += rules < 2 and text == RULE


def plan(source: Source, locale: str | None) -> Plan:
    """How to read this file. Raises `InvalidInput` where its dates can be read in two ways, or in none."""
    times: dict[Order, array[float]] = {order: array("d") for order in ORDERS}
    apart, marks, first, end = bytearray(), set[str](), "", deque[str](maxlen=3)
    odd = 0
    for line in lines_below(source):
        if line.stamp:
            apart.append(line.apart)
            marks.add(line.stamp.mark)
            for order, at in zip(ORDERS, line.stamp.times, strict=True):
                times[order].append(at)
        odd += line.odd
        if line.text:
            first = first or line.text
            end.append(line.text)
    announced = _announced(end)
    if not apart:
        if announced or (len(end) > 1 and not first.startswith("=")):
            raise discord_dates.unknown_dates(source.name)
        return Plan("ymd", b"", announced, spaced=True)
    discord_dates.check_marks(marks, source.name)
    spaced = _is_spaced(apart, announced)
    taken = apart if spaced else bytearray(b"\x01" * len(apart))
    times = {order: array("d", compress(times[order], taken)) for order in ORDERS}
    order = discord_dates.order_of(times, locale, source.name)
    fitting = iter(_fitting(times[order], announced))
    headers = bytes(one and next(fitting) for one in taken)
    if announced and sum(headers) < announced <= sum(headers) + odd:  # the rest has dates nobody can read
        raise discord_dates.unknown_dates(source.name)
    return Plan(order, headers, announced, spaced)


def in_order(times: Sequence[float]) -> list[bool]:
    """Which times belong to the longest row from the first one that runs one way, but for autumn's hour."""
    rising = sum(1 if b > a else -1 for a, b in pairwise(times) if a != b) >= 0
    ways = [at if rising else -at for at in times]
    ways = [at if at >= ways[0] - SLACK else nan for at in ways]
    row = _longest_row(ways)
    following = [inf] * len(ways)
    for i in range(len(ways) - 2, -1, -1):
        following[i] = ways[i + 1] if row[i + 1] else following[i + 1]
    latest = -inf
    for i, at in enumerate(ways):
        if row[i]:
            latest = at
        else:
            row[i] = latest - SLACK <= at <= following[i] + SLACK
    return row


class _Before:
    """What stands before a line."""

    def __init__(self) -> None:
        self._last = deque[str](["", "", ""], maxlen=3)
        self._shape: str | None = None
        self._begun = False

    def line(self, text: str) -> Line:
        """The line, looked at, and then remembered."""
        line = self._header(text) if text.startswith("[") and not self._last[-1] else Line(text)
        self._last.append(text)
        self._begun = self._begun or bool(text)
        return line

    def _header(self, text: str) -> Line:
        found = _HEADER.fullmatch(text)
        if not found:
            return Line(text)
        stamp = discord_dates.parse(found[1])
        if stamp and not self._begun:
            self._shape = stamp.shape
        apart = not (self._begun and self._last[1]) or self._last[0] == REACTIONS
        if not stamp or stamp.shape != self._shape:
            return Line(text, odd=apart and discord_dates.may_be(found[1]))
        return Line(text, stamp, found[2].removesuffix(" (pinned)"), apart)


def _announced(end: Sequence[str]) -> int | None:
    """How many messages there are, by the file's last three lines."""
    if len(end) < 3 or end[0] != RULE or end[2] != RULE:
        return None
    found = _FOOTER.fullmatch(end[1])
    return int(_NOT_DIGIT.sub("", found[1])) if found else None


def _is_spaced(apart: bytearray, announced: int | None) -> bool:
    if announced is None:
        return sum(apart) > 1 or len(apart) == 1
    return not sum(apart) < announced <= len(apart)


def _fitting(times: Sequence[float], announced: int | None) -> list[bool]:
    """Which of these are headers: all, unless there are too many, and enough of them are in order."""
    everyone = [not isnan(at) for at in times]
    if sum(everyone) == announced:
        return everyone
    row = in_order(times)
    return row if sum(row) >= (len(row) / 2 if announced is None else announced) else everyone


def _longest_row(times: Sequence[float]) -> list[bool]:
    """The longest subsequence that never falls, by patience sorting."""
    ends: list[float] = []  # of rows of each length: the lowest end, and where it is
    places: list[int] = []
    previous = array("q", [-1]) * len(times)
    for i, at in enumerate(times):
        if isnan(at):
            continue
        length = bisect_right(ends, at)
        previous[i] = places[length - 1] if length else -1
        if length == len(ends):
            ends.append(at)
            places.append(i)
        else:
            ends[length], places[length] = at, i
    row = [False] * len(times)
    i = places[-1] if places else -1
    while i >= 0:
        row[i] = True
        i = previous[i]
    return row
