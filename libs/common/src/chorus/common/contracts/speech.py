"""Speech: words into sound, and sound into words.

    speech.v1.tts   Speak → Spoken | error
    speech.v1.stt   Transcribe → Transcript | error

Sound goes by reference: it lies in the bucket `files`, under a key that starts with the guild's own id;
one that starts otherwise is refused. What is spoken is OGG Opus, mono, the format of Discord's voice
messages; what is heard may be any common audio file.
"""

from pydantic import Field, NonNegativeFloat, PositiveFloat

from chorus.common.contracts.names import LOCAL, Guild
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import Request, Wire

TTS = "speech.v1.tts"
STT = "speech.v1.stt"


class Speak(Request):
    """Say something aloud. Without a `language` (`en-us`, `de`, …) the service's own is spoken."""

    guild: Guild = LOCAL
    text: str
    language: str | None = Field(default=None, max_length=32)


class Spoken(Wire):
    """The sound, ready to be sent on."""

    audio: ObjectRef
    seconds: PositiveFloat
    voice: str
    """Who spoke: engine and language."""


class Transcribe(Request):
    """Write down what is said in a recording. `filename` is for messages alone."""

    guild: Guild = LOCAL
    audio: ObjectRef
    filename: str = Field(max_length=255)


class Transcript(Wire):
    """What was heard."""

    text: str
    seconds: NonNegativeFloat
    """Length of the recording."""
    language: str
    """That was listened for; words of any other are misheard."""
