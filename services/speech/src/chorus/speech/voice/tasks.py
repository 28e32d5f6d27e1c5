"""What an engine's process is told, and tells.

Each message is one line of JSON; the sound that belongs to it follows as `size` bytes.

    ← Ready                       once, when the engine is loaded
    → SpeakTask | HearTask        then, as often as wanted:
    ← Partly*, then Done | Failed

A decoder's process is told one `DecodeTask` in its life, and says nothing before it.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter

from chorus.common.contracts.wire import StrictPart
from chorus.common.errors import ChorusError


class Frame(StrictPart):
    """A message between the two."""

    size: NonNegativeInt = 0
    """Bytes that follow."""

    def packed(self, data: bytes = b"") -> bytes:
        """The message, and the bytes that belong to it, as they are sent."""
        line = self.model_copy(update={"size": len(data)}).model_dump_json(exclude_none=True)
        return line.encode() + b"\n" + data


class Ready(Frame):
    """The engine is loaded and knows these languages; one that speaks, by voice."""

    type: Literal["ready"] = "ready"
    languages: list[str] = Field(default=[])
    voices: dict[str, list[str]] = Field(default={})


class SpeakTask(Frame):
    """Say this."""

    type: Literal["speak"] = "speak"
    text: str
    voice: str
    language: str
    max_seconds: float


class HearTask(Frame):
    """Write down what is said in the samples that follow."""

    type: Literal["hear"] = "hear"
    rate: int
    language: str


class DecodeTask(Frame):
    """Make samples of the audio file that follows."""

    filename: str
    rate: int
    max_seconds: float


class Partly(Frame):
    """So much is done: the whole text so far, heard or spoken."""

    type: Literal["partly"] = "partly"
    text: str


class Done(Frame):
    """It worked: the recording follows, or its words are here."""

    type: Literal["done"] = "done"
    seconds: float
    text: str = ""
    language: str = ""


class Failed(Frame):
    """It did not: an error for people, with its status."""

    type: Literal["failed"] = "failed"
    status: int
    code: str
    message: str
    param: str | None = None

    @classmethod
    def of(cls, error: ChorusError) -> "Failed":
        """What was raised, to be raised again on the other side."""
        return cls(status=error.status, code=error.code, message=error.message, param=error.param)


Task = SpeakTask | HearTask
Told = Ready | Partly | Done | Failed

TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="type")])
TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="type")])
