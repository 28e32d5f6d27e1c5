"""Speech: words into sound, and sound into words.

    speech.v1.tts   Speak → SpokenPart*, Spoken, then one empty message | error
    speech.v1.voices   ListVoices → Voices | error
    speech.v1.stt   Transcribe → Partial*, Transcript, then one empty message | error
    speech.v1.cancel.<request>   Cancel: stop it

What is heard or spoken so far comes where it is asked for (`partial`); otherwise the first message is the
answer.

Sound goes by reference, but for sentences that come one by one: it lies in the bucket `files`, under a key
that starts with the guild's own id; one that starts otherwise is refused. A file that Discord keeps can be
named by its address there, too: then it is stored nowhere. What is spoken is OGG Opus, mono, the format of
Discord's voice messages; what is heard may be any common audio file.
"""

import base64
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    TypeAdapter,
    WithJsonSchema,
)

from chorus.common.contracts.consent import consent_key
from chorus.common.contracts.names import LOCAL, Guild
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, Wire

TTS = "speech.v1.tts"
STT = "speech.v1.stt"
VOICES = "speech.v1.voices"
CANCEL = "speech.v1.cancel"

AUTO = "auto"
"""The language that is listened for where nobody names one: whatever is spoken."""

MAX_PART_SECONDS = 30.0
"""Of one `SpokenPart`: some 120 KB of Opus, a third of what a message holds."""

Inline = Annotated[
    bytes,
    BeforeValidator(lambda told: base64.b64decode(told, validate=True) if isinstance(told, str) else told),
    PlainSerializer(lambda data: base64.b64encode(data).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""Bytes in the message itself, in base64."""


class Speak(Request):
    """Say something aloud. Without a `language` (`en-us`, `de`, …) the service's own is spoken."""

    guild: Guild = LOCAL
    text: str
    language: str | None = Field(default=None, max_length=32)
    voice: str | None = Field(default=None, max_length=64)
    """Who is to speak (`speech.v1.voices`): a voice, or an engine. Where there is none of this name, or it
    does not know the language, or fails, another one speaks."""
    partial: bool = False
    """Whether each sentence's sound is told as soon as it is there, too."""
    cut: bool = False
    """Whether as much of a text as may be said is, to the end of a sentence, where all of it is too long."""


class SpokenPart(Wire):
    """What is spoken next: a sentence, or as much of a long one as lasts `MAX_PART_SECONDS`.

    All of them, one after another, are what `Spoken` has in one. What was spoken before, and is kept, comes
    as `Spoken` alone: a reader that had no part plays that.
    """

    type: Literal["part"] = "part"
    i: NonNegativeInt
    """Counts the parts of an answer, from 0."""
    sound: Inline
    """A file of its own, OGG Opus as in `Spoken`."""
    seconds: PositiveFloat
    voice: str
    """Who speaks. Where an engine fails in the middle, another one goes on with the sentence."""


class Spoken(Wire):
    """The whole sound, ready to be sent on. Whoever has fetched it deletes it; after an hour it is gone."""

    type: Literal["spoken"] = "spoken"
    audio: ObjectRef
    seconds: PositiveFloat
    voice: str
    """Who spoke: voice and language, as in `espeak/de`."""


Said = SpokenPart | Spoken
"""One reply of several."""

SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="type")])


class ListVoices(Request):
    """Who can speak?"""


class Voice(Part):
    """Somebody who can speak."""

    name: str
    """`espeak`, `flite/rms`, …"""
    engine: str
    languages: list[str]
    """The one that it is made for first, where there is one."""


class Voices(Wire):
    """All that can speak here, those that are asked first before the others."""

    language: str
    """Spoken when none is asked for."""
    voices: list[Voice]


class Transcribe(Request):
    """Write down what is said in a recording, which is a file of the guild's own or one that Discord keeps.

    `filename` is for messages alone.
    """

    guild: Guild = LOCAL
    audio: ObjectRef | None = None
    url: str | None = Field(default=None, max_length=2048)
    """In its place: where the file is on Discord's own CDN. No other address is taken."""
    filename: str = Field(max_length=255)
    language: str = Field(default=AUTO, max_length=32)
    """`ru-RU`, `en`, …; `auto`: found out by engines that can, otherwise the service's own."""
    partial: bool = False
    """Whether what is heard so far is told, too."""


class Partial(Wire):
    """What is heard so far: the whole text, in place of the one before."""

    type: Literal["partial"] = "partial"
    text: str
    engine: str


class Transcript(Wire):
    """What was heard."""

    type: Literal["transcript"] = "transcript"
    text: str
    seconds: NonNegativeFloat
    """Length of the recording."""
    language: str
    """That was listened for, or found out; words of any other are misheard."""
    engine: str
    """Which one heard it: `sphinx`, `google`, …"""


Heard = Partial | Transcript
"""One reply of several."""

HEARD: TypeAdapter[Heard] = TypeAdapter(Annotated[Heard, Field(discriminator="type")])


def recordings_of(guild: str, person: str) -> str:
    """Where recordings of a person lie, in the bucket `files`, that the guild keeps."""
    return f"{guild}/recordings/{consent_key(guild, person).partition('.')[2]}/"


class Cancel(Wire):
    """Stop a request. Anybody who knows its id may, and only who made it knows it."""
