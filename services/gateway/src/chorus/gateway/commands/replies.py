"""What a command returns. A front-end renders it as its medium can: lines, embeds, live cards."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from chorus.common.contracts.generation import Delta, End
from chorus.common.contracts.training import JobRecord


@dataclass(frozen=True)
class Text:
    """A few words."""

    text: str


@dataclass(frozen=True)
class Card:
    """A small table."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    footer: str = ""


@dataclass(frozen=True)
class Stream:
    """A model's answer as it is written; the last piece says how it ended."""

    pieces: AsyncIterator[Delta | End]


@dataclass(frozen=True)
class Progress:
    """A job to watch until it ends."""

    opening: str
    job: AsyncIterator[JobRecord]


@dataclass(frozen=True)
class Audio:
    """Something spoken: OGG Opus, the format of Discord's voice messages."""

    name: str
    """The file's: a path that was asked for means one's own disk in the console, elsewhere its last part."""
    data: bytes
    seconds: float


@dataclass(frozen=True)
class Problem:
    """It did not work: what, why, what to do; and a code that never changes."""

    code: str
    message: str


Reply = Text | Card | Stream | Progress | Audio | Problem
