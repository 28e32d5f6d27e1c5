"""Speech's settings."""

from pathlib import Path

from pydantic import Field

from chorus.common.contracts.wire import MIB
from chorus.common.settings import CommonSettings

ENGINE = r"(sphinx|whisper|vosk|google)(=[1-9]\d{0,2})?"
VOICE = r"(espeak|flite|piper|gtts)"


class SpeechSettings(CommonSettings):
    """What speech needs to know beside what every service does."""

    speech_language: str = "en-us"
    """The language that is spoken when none is asked for, and listened for where it cannot be found out."""
    stt_engines: str = Field(default="sphinx", pattern=f"^{ENGINE}(,{ENGINE})*$")
    """Engines that hear, in the order in which they are tried: `sphinx`, `whisper`, `vosk`, `google`; each
    with the seconds of silence after which it is given up, if need be: `google=5,sphinx`. Recordings are
    sent to `google`; with the others nothing leaves the machine."""
    stt_processes: int = Field(default=2, ge=1, le=16)
    """Processes for each engine that hears; all but the first are started when several recordings wait."""
    whisper_model: str = ""
    """Folder with a model for faster-whisper."""
    vosk_model: str = ""
    """Folder with a model for Vosk."""
    google_endpoint: str = Field(
        default="https://www.google.com/speech-api/v2/recognize", pattern=r"^https?://[^\s/@]+/\S*$"
    )
    """Where Google's recogniser is asked."""
    tts_engines: str = Field(default="espeak", pattern=f"^{VOICE}(,{VOICE})*$")
    """Engines that speak, in the order in which they are tried: `espeak`, `flite` (English, left out where it
    is not installed), `piper`, `gtts`. Texts are sent to Google by `gtts`; with the others nothing leaves
    the machine."""
    tts_processes: int = Field(default=2, ge=1, le=16)
    """Processes for each engine that speaks; all but the first are started when several texts wait."""
    piper_voices: str = ""
    """Folder with voices for Piper: `.onnx` files, each with its `.onnx.json`."""
    gtts_endpoint: str = Field(default="https://translate.google.com", pattern=r"^https?://[^\s/@]+$")
    """Where gTTS asks."""
    cache: Path = Path(".chorus/cache")
    """Folder for what can be made again."""
    speech_cache_bytes: int = Field(default=64 * MIB, ge=0)
    """Size of the phrases that are kept when they have been spoken; 0 keeps none."""
    speech_cache_phrases: int = Field(default=2000, ge=0)
    """How many phrases are kept."""
    max_spoken_text: int = Field(default=1000, ge=1, le=20_000)
    """Characters that are spoken at once."""
    max_audio_seconds: float = Field(default=60.0, gt=0, le=3600)
    """Length of a recording that is spoken."""
    max_heard_seconds: float = Field(default=600.0, gt=0, le=3600)
    """Length of a recording that is heard; offline that takes about a third of it."""
    max_audio_bytes: int = Field(default=25 * MIB, ge=1024)
    """Size of a recording that is heard."""
    discord_cdn: str = Field(default="https://cdn.discordapp.com", pattern=r"^https?://[^\s/@]+$")
    """Where Discord keeps attached files; recordings are fetched from nowhere else."""
    speech_within: float = Field(default=60.0, gt=0)
    """Seconds that the work on one request may take."""
