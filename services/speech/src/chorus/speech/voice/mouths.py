"""What an engine that speaks is, inside of its process, and how it is set up."""

from typing import Literal, NamedTuple, Protocol

from chorus.common.contracts.wire import StrictPart
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice.sound import Sound

Engine = Literal["espeak", "flite", "piper", "gtts"]
WITHIN = {"espeak": 30.0, "flite": 30.0, "piper": 60.0, "gtts": 2.5}
"""Seconds for one sentence. What cannot be reached over the network is given up soon: others can speak."""


class MouthOptions(StrictPart):
    """Which engine, and what it needs."""

    engine: Engine
    within: float
    """Seconds for one sentence."""
    voices: str = ""
    """Folder of its voices."""
    endpoint: str = ""
    """Where it is asked over the network."""


def mouths_of(settings: SpeechSettings) -> list[MouthOptions]:
    """Those that the operator wants, in their order, each once."""
    needs: dict[str, dict[str, str]] = {
        "piper": {"voices": settings.piper_voices},
        "gtts": {"endpoint": settings.gtts_endpoint},
    }
    asked = dict.fromkeys(settings.tts_engines.split(","))
    return [
        MouthOptions.model_validate({"engine": engine, "within": WITHIN[engine], **needs.get(engine, {})})
        for engine in asked
    ]


class Who(NamedTuple):
    """One of the voices, in one of its languages."""

    voice: str
    language: str


class Mouth(Protocol):
    """An engine with its voices. For one thread at a time."""

    voices: dict[str, list[str]]
    """What it is asked for by, and what each speaks, the language that it is made for first."""

    def speak(self, text: str, who: Who, *, max_seconds: float) -> Sound:
        """Say a sentence. What comes out longer than `max_seconds` may lack its end, and is of no use.

        Raises `InvalidInput`, `Unavailable`, `TimedOut`.
        """
        ...
