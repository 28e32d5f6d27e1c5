"""What is needed of engines: one that speaks, one that hears."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Recording:
    """Something spoken, as OGG Opus."""

    data: bytes
    seconds: float


@dataclass(frozen=True)
class Heard:
    """Something written down. No words where none were made out."""

    text: str
    seconds: float


class Speaker(Protocol):
    """Speaks, one text at a time."""

    name: str

    @property
    def languages(self) -> Collection[str]:
        """All it can speak."""
        ...

    async def speak(self, text: str, language: str) -> Recording:
        """Say it in one of the languages. Raises `InvalidInput`, `TooLarge`, `TimedOut`, `InternalError`."""
        ...


class Listener(Protocol):
    """Hears, one recording at a time."""

    @property
    def language(self) -> str:
        """The one it listens for."""
        ...

    async def hear(self, data: bytes, filename: str) -> Heard:
        """Write down an audio file. Raises `InvalidInput`, `TooLarge`, `TimedOut`, `InternalError`."""
        ...
