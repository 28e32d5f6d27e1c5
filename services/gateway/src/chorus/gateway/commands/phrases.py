"""Small parts of sentences, the same wherever we speak: numbers, times, lists, the beginnings of texts."""

from collections.abc import Sequence
from datetime import datetime

LISTED = 20  # names that one reads in a sentence
CELL = 60  # characters of a text in a line


def counted(number: int, thing: str) -> str:
    """`1 answer`, `1,200 answers`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def minute(at: datetime) -> str:
    """A moment in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def in_a_row(words: Sequence[str], most: int = LISTED) -> str:
    """As many of them as one reads in a sentence."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def in_line(text: str, width: int = CELL) -> str:
    """A text in one line, its beginning: so many characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
