"""Engines that speak, one after another, and what they have said before.

Each recording tells who spoke. Where sentences are told one by one, the next engine goes on with the one that
failed.
"""

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry

from chorus.common.contracts.speech import Voice
from chorus.speech.backends.chain import Chain
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.casting import Role, cast
from chorus.speech.voice.ports import Clip, OnSpoken


class SpeakingEngine(Protocol):
    """One of them (`speaking.SpeakerPool`)."""

    @property
    def engine(self) -> str:
        """Its name."""
        ...

    @property
    def voices(self) -> Sequence[Voice]:
        """All that it can speak with."""
        ...

    async def speak(
        self, text: str, role: Role, on_spoken: OnSpoken | None = None, *, cut: bool = False
    ) -> Clip:
        """Say it, with one of its voices."""
        ...


class Kept(Protocol):
    """What has been said before (`phrases.Phrases`)."""

    def get(self, voice: str, text: str) -> Clip | None:
        """It, if it is kept."""
        ...

    def put(self, text: str, made: Clip) -> None:
        """Keep it."""
        ...


class Speakers:
    """`ports.Speaker`."""

    def __init__(
        self,
        engines: Sequence[SpeakingEngine],
        kept: Kept,
        language: str,
        metrics: SpeechMetrics | None = None,
    ) -> None:
        self._metrics = metrics or SpeechMetrics(CollectorRegistry())
        self._engines = {engine.engine: engine for engine in engines}
        self._chain = Chain("speak", engines, self._metrics)
        self._kept = kept
        self.language = language
        self.voices = [voice for engine in engines for voice in engine.voices]

    def said_before(self, text: str, language: str | None, voice: str | None) -> Clip | None:
        """It, if it is kept in the voice that would speak now, or in a better one that is left out."""
        for role in cast(self.voices, language, voice, own=self.language, text=text):
            if (kept := self._kept.get(role.label, text)) is not None:
                self._metrics.took_kept()
                return kept
            if not self._chain.leaves_out(self._engines[role.voice.engine]):
                break
        return None

    async def speak(
        self,
        text: str,
        language: str | None,
        voice: str | None,
        on_spoken: OnSpoken | None = None,
        *,
        cut: bool = False,
    ) -> Clip:
        """Say it with the first engine that can. Raises what is wrong with it, and what `Chain` does."""
        roles = cast(self.voices, language, voice, own=self.language, text=text)
        aloud = _Aloud(on_spoken)

        async def speak(engine: SpeakingEngine, role: Role) -> Clip:
            return await engine.speak(text, role, aloud.from_here(), cut=cut)

        fit = [(self._engines[role.voice.engine], role) for role in roles]
        made = await self._chain.first_that_can(fit, speak)
        if made.whole:
            self._kept.put(text, made)
        return made


class _Aloud:
    """What has been told of a text, sentence by sentence: none is told twice, whoever speaks."""

    def __init__(self, on_spoken: OnSpoken | None) -> None:
        self._on_spoken = on_spoken
        self._told = 0

    def from_here(self) -> OnSpoken | None:
        """For the next engine, which speaks the whole text; None where nobody wants to know."""
        if (on_spoken := self._on_spoken) is None:
            return None
        first = self._told

        async def tell(sentence: int, sound: Clip) -> None:
            if sentence >= first:
                self._told = sentence + 1
                await on_spoken(sentence, sound)

        return tell
