"""What an engine that hears is, inside of its process, and how it is set up."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

from chorus.common.contracts.wire import StrictPart
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice.sound import Sound

Engine = Literal["sphinx", "google", "whisper", "vosk"]
WITHIN = {"sphinx": 60.0, "google": 10.0, "whisper": 120.0, "vosk": 60.0}
"""Seconds of silence after which an engine is given up; each piece of text breaks the silence."""


class EarOptions(StrictPart):
    """Which engine, and what it needs."""

    engine: Engine
    within: float
    """Seconds for one piece of a recording."""
    model: str = ""
    """Folder of its model."""
    endpoint: str = ""
    """Where it is asked over the network."""


def engines_of(settings: SpeechSettings) -> list[EarOptions]:
    """Those that the operator wants, in their order."""
    needs: dict[str, dict[str, str]] = {
        "sphinx": {},
        "google": {"endpoint": settings.google_endpoint},
        "whisper": {"model": settings.whisper_model},
        "vosk": {"model": settings.vosk_model},
    }
    asked = (written.partition("=") for written in settings.stt_engines.split(","))
    return [
        EarOptions.model_validate({"engine": engine, "within": seconds or WITHIN[engine], **needs[engine]})
        for engine, _, seconds in asked
    ]


class Said(NamedTuple):
    """What is heard so far: the whole text."""

    text: str
    language: str
    """That was listened for, or found out."""


class Ear(Protocol):
    """An engine with its model held in memory. For one thread at a time."""

    languages: list[str]
    """All it hears; with `AUTO` and `languages.ANY`."""

    def hear(self, sound: Sound, language: str) -> Iterator[Said]:
        """The whole text so far, after each piece; none where there are no words.

        Raises `InvalidInput`, `Unavailable`, `TimedOut`.
        """
        ...
