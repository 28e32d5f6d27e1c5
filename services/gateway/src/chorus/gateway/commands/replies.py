"""What a command returns. A front-end renders it as its medium can: lines, messages, live cards."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from chorus.common.contracts.datasets import Piece
from chorus.common.contracts.generation import Delta, End, Waiting
from chorus.common.errors import ChorusError
from chorus.gateway.commands.phrases import counted
from chorus.gateway.commands.ports import Download

THIS = "@"
"""In a button's line: the id of the message that the button is on."""
FAILED = "✗"
"""How a line begins that says what did not work."""


@dataclass(frozen=True)
class Form:
    """Asks for words before a button's line is run; they go at the line's end."""

    title: str
    label: str
    text: str = ""
    """What stands there at first; `THIS` is what the message says."""


@dataclass(frozen=True)
class Button:
    """Something to press in place of typing a line: the same line, with the rights of whoever presses.

    It holds all that it means, so it works after any restart. Where nothing can be pressed, none is shown.
    """

    label: str
    line: str
    """At most 90 characters; `THIS` in it is the message's id."""
    style: Literal["plain", "good", "danger"] = "plain"
    form: Form | None = None
    when_cut_off: bool = False
    """Below an answer: whether it is there only where the answer reached its length limit (`offered`)."""


@dataclass(frozen=True)
class Text:
    """A few words."""

    text: str
    buttons: tuple[Button, ...] = ()
    settles: bool = False
    """Whether it answers what a message of ours asked with buttons: once one is pressed, they all go."""
    quoted: str = field(default="", compare=False)
    """The part of it that is somebody's words, and stays as it is."""


@dataclass(frozen=True)
class Picture:
    """A small picture, and the same in words for where none can be shown."""

    name: str
    png: bytes
    text: str


@dataclass(frozen=True)
class Card:
    """A small table."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    footer: str = ""
    picture: Picture | None = None
    private: bool = False
    """Whether it is for nobody but whoever asked."""
    buttons: tuple[Button, ...] = ()
    quotes: bool = False
    """Whether its rows are people's words, or a model's, and stay as they are."""
    shown: Callable[[], None] | None = field(default=None, compare=False)
    """Called once it has been shown: it may be that it cannot be."""


@dataclass(frozen=True)
class Audio:
    """Something spoken: OGG Opus, the format of Discord's voice messages."""

    name: str
    """The file's: a path that was asked for means one's own disk in the console, elsewhere its last part."""
    data: bytes
    seconds: float
    in_role: bool = False
    """Whether it is a model that speaks as somebody, as in a `Stream`."""
    note: str = ""
    """What is to be known of it."""


Kept = Callable[[str], Awaitable[None]]
"""Takes the id under which a reply was shown."""
Aloud = Callable[[], Awaitable[Audio | None]]
"""Says aloud what was written; None where it is heard already. Raises what keeps it from that."""


@dataclass(frozen=True)
class Stream:
    """A model's answer as it is written; the last piece says how it ended."""

    pieces: AsyncIterator[Waiting | Delta | End]
    titles: tuple[str, ...] = ()
    """Of several answers side by side, by their `choice`; one alone has none."""
    buttons: tuple[Button, ...] = ()
    """Below the answer, once it is whole."""
    kept: Kept | None = None
    """Called once the answer has been shown whole, so that people can come back to it by its id. It may be
    called for each of the messages that an answer has taken."""
    in_role: bool = False
    """Whether the model speaks as somebody: where people talk, the answer is labelled as a machine's."""
    if_a_toy: str = ""
    """Said below it where the starter gave it, which has been taught nothing yet."""
    aloud: Aloud | None = None
    """Where answers are also spoken: says this one, once it is whole."""
    heard: str = ""
    """What was heard in the recording that is answered, and by which engine: shown above the answer."""


@dataclass(frozen=True)
class Problem:
    """It did not work: what, why, what to do; and a code that never changes."""

    code: str
    message: str
    buttons: tuple[Button, ...] = ()
    """What helps."""

    @property
    def line(self) -> str:
        """All of it in one line, as every front-end shows it."""
        return f"{FAILED} {self.message} [{self.code}]"


@dataclass(frozen=True)
class Moment:
    """How far something is that takes a while."""

    stage: str = ""
    done: int = 0
    total: int = 0
    """0 where it is not known."""
    figures: tuple[str, ...] = ()
    note: str | None = None
    """A line that stays, whatever comes after it."""
    outcome: Text | Problem | None = None
    """How it ended; nothing comes after it."""
    more: tuple[Card, ...] = ()
    """What is shown below the outcome."""
    job: str | None = None
    """The job that goes on when nobody watches any more."""
    queues: str | None = None
    """The job that is put into the queue next: who wants to show it whatever happens notes its place now."""
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True)
class Progress:
    """Something to watch until it ends: an import, then a job, say. `opening` may be empty."""

    opening: str
    moments: AsyncIterator[Moment]
    job: str | None = None
    """The job that is watched, where that is known before the first moment."""


@dataclass(frozen=True)
class File:
    """A file to keep. Its name is as an `Audio`'s: in the console it may be a path."""

    name: str
    data: Download
    text: str = ""
    private: bool = False
    """Whether it is for nobody but whoever asked."""


@dataclass(frozen=True)
class Samples:
    """Examples as a model sees them, piece by piece; those that are learned are to be seen as such."""

    title: str
    samples: list[list[Piece]]
    footer: str = ""


CURES = {"notice_needed": (Button("Read the notice", "!notice"),)}
"""What helps against what went wrong, by its code."""

Reply = Text | Card | Stream | Progress | Audio | File | Samples | Problem


def numbered(answers: int) -> tuple[str, ...]:
    """Titles of so many answers to one question."""
    return tuple(str(number) for number in range(1, answers + 1)) if answers > 1 else ()


def offered(stream: Stream, end: End) -> tuple[Button, ...]:
    """The buttons below an answer that ended so."""
    return tuple(button for button in stream.buttons if is_cut_off(end) or not button.when_cut_off)


def is_cut_off(end: End) -> bool:
    """Whether an answer reached its length limit."""
    return "length" in (end.finish_reason, *end.finish_reasons)


def remarks(end: End) -> list[str]:
    """What is to be known of an answer beside its words, a sentence each."""
    told: list[str] = []
    if end.dropped_examples:
        told.append(f"{counted(end.dropped_examples, 'example')} did not fit the model's memory.")
    if end.dropped_messages:
        told.append(f"{counted(end.dropped_messages, 'older message')} did not fit the model's memory.")
    if is_cut_off(end):
        told.append("Cut off: the answer reached its length limit.")
    return told


def problem(error: ChorusError) -> Problem:
    """What went wrong, in words; and when to try again, where that is known and the words do not say it."""
    says_when = error.retry_after is None or "again" in error.message.lower()
    again = "" if says_when else f" Try again in {math.ceil(error.retry_after or 0)} s."
    return Problem(error.code, f"{error.message}{again}", CURES.get(error.code, ()))
