"""What an engine's process is told, and tells.

Each message is one line of JSON; the sound that belongs to it follows as `size` bytes.

    ← Ready                       once, when the engine is loaded
    → SpeakTask | HearTask        then, as often as wanted:
    ← Done | Failed
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter

from chorus.common.contracts.wire import StrictPart


class Frame(StrictPart):
    """A message between the two."""

    size: NonNegativeInt = 0
    """Bytes that follow."""


class Ready(Frame):
    """The engine is loaded and knows these languages."""

    type: Literal["ready"] = "ready"
    languages: list[str]


class SpeakTask(Frame):
    """Say this."""

    type: Literal["speak"] = "speak"
    text: str
    language: str
    max_seconds: float


class HearTask(Frame):
    """Write down the audio file that follows."""

    type: Literal["hear"] = "hear"
    filename: str
    max_seconds: float


class Done(Frame):
    """It worked: the recording follows, or its words are here."""

    type: Literal["done"] = "done"
    seconds: float
    text: str = ""


class Failed(Frame):
    """It did not: an error for people, with its status."""

    type: Literal["failed"] = "failed"
    status: int
    code: str
    message: str
    param: str | None = None


Task = SpeakTask | HearTask
Told = Ready | Done | Failed

TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="type")])
TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="type")])
