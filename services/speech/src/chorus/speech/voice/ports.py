"""What is needed of engines: one that speaks, one that hears."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chorus.common.contracts.speech import Voice
from chorus.speech.voice.sound import Sound


@dataclass(frozen=True)
class Recording:
    """Something spoken, as OGG Opus."""

    data: bytes
    seconds: float
    voice: str
    """Who speaks: voice and language, as in `espeak/de`."""


@dataclass(frozen=True)
class Heard:
    """Something written down. No words where none were made out."""

    text: str
    seconds: float
    language: str
    """That was listened for, or found out."""
    engine: str
    """Which one heard it."""


OnHeard = Callable[[str, str], Awaitable[None]]
"""Is told the whole text so far, and which engine heard it. What another engine hears replaces it."""


async def unheeded(_text: str, _engine: str) -> None:
    """Nobody wants to know before it is done."""


class Cdn(Protocol):
    """Where Discord keeps what people attach."""

    async def fetch(self, address: str, filename: str) -> bytes:
        """A file. Raises `InvalidInput` for any other address, `NotFound`, `TooLarge`, `Unavailable`."""
        ...


class Decoder(Protocol):
    """Makes samples of a stranger's audio file."""

    async def decode(self, data: bytes, filename: str) -> Sound:
        """The file's first track: 16 kHz, mono. Raises `InvalidInput`, `TooLarge`, `Unavailable`."""
        ...


class Speaker(Protocol):
    """Speaks."""

    @property
    def voices(self) -> Sequence[Voice]:
        """All that it can speak with."""
        ...

    async def speak(self, guild: str, text: str, language: str | None, voice: str | None) -> Recording:
        """Say it for a guild, in a language and with a voice if they are wished for.

        Raises `InvalidInput`, `TooLarge`, `QueueFull`, `Unavailable`.
        """
        ...


class Listener(Protocol):
    """Hears."""

    async def hear(self, sound: Sound, language: str, on_heard: OnHeard) -> Heard:
        """Write down what is said in it, in a language or `auto`. Raises `InvalidInput`, `Unavailable`."""
        ...
