"""Speech's settings."""

from pydantic import Field

from chorus.common.contracts.wire import MIB
from chorus.common.settings import CommonSettings


class SpeechSettings(CommonSettings):
    """What speech needs to know beside what every service does."""

    speech_language: str = "en-us"
    """The language that is spoken when none is asked for."""
    max_spoken_text: int = Field(default=1000, ge=1, le=20_000)
    """Characters that are spoken at once."""
    max_audio_seconds: float = Field(default=60.0, gt=0, le=3600)
    """Length of a recording, heard or spoken; hearing takes about a third of it."""
    max_audio_bytes: int = Field(default=25 * MIB, ge=1024)
    """Size of a recording that is heard."""
    speech_within: float = Field(default=60.0, gt=0)
    """Seconds that the work on one request may take."""
