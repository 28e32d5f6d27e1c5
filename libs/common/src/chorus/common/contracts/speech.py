"""Speech: words into sound, and sound into words.

    speech.v1.tts   Speak → Spoken | error
    speech.v1.voices   ListVoices → Voices | error
    speech.v1.stt   Transcribe → Partial*, Transcript, then one empty message | error
    speech.v1.cancel.<request>   Cancel: stop it

What is heard so far comes where it is asked for (`partial`); otherwise the first message is the answer.

Sound goes by reference: it lies in the bucket `files`, under a key that starts with the guild's own id;
one that starts otherwise is refused. What people attached to a message is named by its address at Discord,
too: then it is stored nowhere. What is spoken is OGG Opus, mono, the format of Discord's voice
messages; what is heard may be any common audio file.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, TypeAdapter

from chorus.common.contracts.names import LOCAL, Guild
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Part, Request, Wire

TTS = "speech.v1.tts"
STT = "speech.v1.stt"
VOICES = "speech.v1.voices"
CANCEL = "speech.v1.cancel"


class Speak(Request):
    """Say something aloud. Without a `language` (`en-us`, `de`, …) the service's own is spoken."""

    guild: Guild = LOCAL
    text: str
    language: str | None = Field(default=None, max_length=32)
    voice: str | None = Field(default=None, max_length=64)
    """Who is to speak (`speech.v1.voices`): a voice, or an engine. Where it does not know the language, or
    fails, another one speaks."""


class Spoken(Wire):
    """The sound, ready to be sent on."""

    audio: ObjectRef
    seconds: PositiveFloat
    voice: str
    """Who spoke: voice and language, as in `espeak/de`."""


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
    language: str = Field(default="auto", max_length=32)
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


class Cancel(Wire):
    """Stop a request. Anybody who knows its id may, and only who made it knows it."""
