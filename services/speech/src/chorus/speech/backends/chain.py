"""Engines that hear, one after another: what the first cannot do now, the next one does.

An engine that has just failed twice is left out for a while, so that nobody waits for it; unless all have:
then nothing is won by that. One that does not know the language is passed over. That there are no words in
a recording is an answer, and no failure.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog

from chorus.common.errors import InternalError, InvalidInput, Misconfigured, TimedOut, Unavailable
from chorus.speech.backends.listening import SoFar
from chorus.speech.voice.breaker import Breaker
from chorus.speech.voice.ears import Engine
from chorus.speech.voice.languages import ANY, AUTO, chosen, tag
from chorus.speech.voice.ports import Heard, OnHeard
from chorus.speech.voice.sound import Sound

log = structlog.get_logger()


class HearingEngine(Protocol):
    """One of the chain (`listening.ListenerPool`)."""

    engine: Engine
    languages: list[str]

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        """Write down what is said in it."""
        ...


class Chain:
    """`ports.Listener`. `own` is listened for where a recording's language cannot be found out."""

    def __init__(self, engines: Sequence[HearingEngine], own: str) -> None:
        self._links = [(engine, Breaker()) for engine in engines]
        self._own = tag(own)

    async def hear(self, sound: Sound, language: str, on_heard: OnHeard) -> Heard:
        """Write it down with the first engine that can.

        Raises `InvalidInput` (`unknown_language`) where none knows the language, and `Unavailable`
        (`nobody_hears`) where all that do have failed.
        """
        wanted = tag(language)
        fit = [(engine, breaker, for_it) for engine, breaker in self._links
               if (for_it := chosen(wanted, self._own, engine.languages))]  # fmt: skip
        if not fit:
            raise self._unknown(wanted)
        ready = [link for link in fit if not link[1].left]
        failed: list[str] = []
        for engine, breaker, for_it in ready or fit:
            breaker.begins()
            try:
                heard = await engine.hear(sound, for_it, _telling(on_heard, engine.engine))
            except (Unavailable, TimedOut, InternalError, Misconfigured) as error:
                breaker.failed()
                failed.append(f"{engine.engine}: {error.message.rstrip('.')}")
                log.warning("engine failed", engine=engine.engine, code=error.code)
            else:
                breaker.succeeded()
                return heard
        raise Unavailable(
            f"No engine can listen at the moment ({'; '.join(failed)}). Try again in a minute.",
            code="nobody_hears",
        )

    def _unknown(self, wanted: str) -> InvalidInput:
        known = "; ".join(f"{engine.engine}: {_listed(engine.languages)}" for engine, _ in self._links)
        return InvalidInput(
            f"Nothing here hears the language {wanted!r} ({known}). Choose another, or have the operator add "
            "an engine that does (CHORUS_STT_ENGINES).",
            code="unknown_language",
            param="language",
        )


def _telling(on_heard: OnHeard, engine: Engine) -> SoFar:
    async def tell(text: str) -> None:
        await on_heard(text, engine)

    return tell


def _listed(languages: list[str]) -> str:
    named = [name for name in languages if name not in (AUTO, ANY)]
    return ", ".join(named[:6]) + (", …" if len(named) > 6 else "") or "any"
