"""Engines that hear, one after another.

One that does not know the language is passed over. That there are no words in a recording is an answer, and
no failure.
"""

from collections.abc import Sequence
from typing import Protocol

from chorus.speech.backends.chain import Chain
from chorus.speech.backends.listening import SoFar
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.languages import chosen, tag, unknown_language
from chorus.speech.voice.ports import Heard, OnHeard
from chorus.speech.voice.sound import Sound


class HearingEngine(Protocol):
    """One of them (`listening.ListenerPool`)."""

    @property
    def engine(self) -> str:
        """Its name."""
        ...

    @property
    def languages(self) -> Sequence[str]:
        """Those that it knows."""
        ...

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        """Write down what is said in it."""
        ...


class Listeners:
    """`ports.Listener`. `own` is listened for where a recording's language cannot be found out."""

    def __init__(
        self, engines: Sequence[HearingEngine], own: str, metrics: SpeechMetrics | None = None
    ) -> None:
        self._engines = engines
        self._chain = Chain("hear", engines, metrics)
        self._own = tag(own)

    async def hear(self, sound: Sound, language: str, on_heard: OnHeard) -> Heard:
        """Write it down with the first engine that can.

        Raises `InvalidInput` (`unknown_language`) where none knows the language, and what `Chain` does.
        """
        wanted = tag(language)
        fit = [(engine, for_it) for engine in self._engines
               if (for_it := chosen(wanted, self._own, engine.languages))]  # fmt: skip
        if not fit:
            known = [name for engine in self._engines for name in engine.languages]
            raise unknown_language(wanted, known, does="hears", setting="CHORUS_STT_ENGINES")

        async def hear(engine: HearingEngine, for_it: str) -> Heard:
            async def tell(text: str) -> None:
                await on_heard(text, engine.engine)

            return await engine.hear(sound, for_it, tell)

        return await self._chain.first_that_can(fit, hear)
