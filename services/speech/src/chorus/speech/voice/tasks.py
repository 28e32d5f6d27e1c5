"""What an engine's process is told, and tells.

Each message is one line of JSON; the sound that belongs to it follows as `size` bytes.

    ← Ready                       once, when the engine is loaded
    → SpeakTask | HearTask        then, as often as wanted:
    ← Partly*, then Done | Failed

A decoder's process says nothing before it is told a `DecodeTask`. Once it answers, nothing of that file is
left.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter

from chorus.common.contracts.wire import StrictPart
from chorus.common.errors import ChorusError
from chorus.speech.voice.sound import SAMPLE_BYTES

LINE_BYTES = 64 * 1024  # of a decoder's answer, without the samples


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
    partly: bool = False
    """Whether each sentence's sound is told, too."""
    cut: bool = False
    """Whether it ends with the last sentence for which there is time, where there is none for all."""


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

    @property
    def most_bytes(self) -> int:
        """Of the samples, and a second more: a file ends with whole frames."""
        return int((self.max_seconds + 1) * self.rate) * SAMPLE_BYTES


class Partly(Frame):
    """So much is done: the whole text so far is heard; or a sentence is spoken, whose sound may follow."""

    type: Literal["partly"] = "partly"
    text: str = ""
    sentence: NonNegativeInt = 0
    """Its number in the text, from 0."""
    seconds: float = 0.0
    """Length of the sound."""


class Done(Frame):
    """It worked: the recording follows, or its words are here."""

    type: Literal["done"] = "done"
    seconds: float
    text: str = ""
    language: str = ""
    whole: bool = True
    """Whether all of a text was spoken."""


class Failed(Frame):
    """It did not: an error for people, with its status."""

    type: Literal["failed"] = "failed"
    status: int
    code: str
    message: str
    param: str | None = None
    retry_after: float | None = None

    @classmethod
    def of(cls, error: ChorusError) -> "Failed":
        """What was raised, to be raised again on the other side."""
        return cls(
            status=error.status,
            code=error.code,
            message=error.message,
            param=error.param,
            retry_after=error.retry_after,
        )


Task = SpeakTask | HearTask
Told = Ready | Partly | Done | Failed

TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="type")])
TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="type")])
