"""What is needed of engines: one that speaks, one that hears."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chorus.common.contracts.speech import Voice
from chorus.speech.voice.sound import Sound


@dataclass(frozen=True)
class Clip:
    """Something spoken, as OGG Opus."""

    data: bytes
    seconds: float
    voice: str
    """Who speaks: voice and language, as in `espeak/de`."""
    whole: bool = True
    """Whether all of the text is in it."""


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


async def unheeded(*_: object) -> None:
    """Nobody wants to know before it is done."""


OnSpoken = Callable[[int, Clip], Awaitable[None]]
"""Is told what is spoken next: the sentence's number, from 0, and its sound; a long one's in parts."""


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

    @property
    def language(self) -> str:
        """Spoken when none is asked for."""
        ...

    def said_before(self, text: str, language: str | None, voice: str | None) -> Clip | None:
        """What need not be said again: it is kept. Raises `InvalidInput`."""
        ...

    async def speak(
        self,
        text: str,
        language: str | None,
        voice: str | None,
        on_spoken: OnSpoken | None = None,
        *,
        cut: bool = False,
    ) -> Clip:
        """Say it, in a language and with a voice if they are wished for.

        What takes too long is `cut` at the end of a sentence, if that is wished for.
        Raises `InvalidInput`, `TooLarge`, `Unavailable`.
        """
        ...


class Listener(Protocol):
    """Hears."""

    async def hear(self, sound: Sound, language: str, on_heard: OnHeard) -> Heard:
        """Write down what is said in it, in a language or `auto`. Raises `InvalidInput`, `Unavailable`."""
        ...
