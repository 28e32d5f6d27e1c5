"""Engines that speak, one after another: what the first cannot do now, the next one does.

An engine that has just failed twice is left out for a while, so that nobody waits for it. What has been
said before is taken from the phrases that are kept, and waits for no engine. Each recording tells who spoke.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog

from chorus.common.contracts.speech import Voice
from chorus.common.errors import ChorusError, InternalError, Misconfigured, TimedOut, Unavailable
from chorus.speech.voice.breaker import Breaker
from chorus.speech.voice.casting import Role, cast
from chorus.speech.voice.ports import Recording
from chorus.speech.voice.turns import Turns

FAILURES = (Unavailable, TimedOut, InternalError, Misconfigured)

log = structlog.get_logger()


class SpeakingEngine(Protocol):
    """One of the chain (`speaking.SpeakerPool`)."""

    voices: list[Voice]

    @property
    def engine(self) -> str:
        """Its name."""
        ...

    async def speak(self, text: str, role: Role) -> Recording:
        """Say it, with one of its voices."""
        ...


class Kept(Protocol):
    """What has been said before (`phrases.Phrases`)."""

    def get(self, voice: str, text: str) -> Recording | None:
        """It, if it is kept."""
        ...

    def put(self, text: str, made: Recording) -> None:
        """Keep it."""
        ...


class Link:
    """An engine in the chain: its breaker, and the line before it."""

    def __init__(self, engine: SpeakingEngine, turns: Turns) -> None:
        self.engine = engine
        self.turns = turns
        self.breaker = Breaker()


class Speakers:
    """`ports.Speaker`. `own` is the language that is spoken where none is asked for."""

    def __init__(self, links: Sequence[Link], kept: Kept, own: str) -> None:
        self._links = {link.engine.engine: link for link in links}
        self._kept = kept
        self._own = own
        self.voices = [voice for link in links for voice in link.engine.voices]

    async def speak(self, guild: str, text: str, language: str | None, voice: str | None) -> Recording:
        """Say it with the first engine that can.

        Raises what is wrong with the text, and `Unavailable` (`nobody_speaks`) where all have failed.
        """
        failed: list[ChorusError] = []
        for role in cast(self.voices, language, voice, own=self._own):
            if (kept := self._kept.get(role.label, text)) is not None:
                return kept
            link = self._links[role.voice.engine]
            async with link.turns.turn(guild):
                made = await _tried(link, text, role, failed)
            if made is not None:
                self._kept.put(text, made)
                return made
        raise failed[0] if len(failed) == 1 else _nobody(failed)


async def _tried(link: Link, text: str, role: Role, failed: list[ChorusError]) -> Recording | None:
    """What it makes of the text; None where it fails, and the next one is to try."""
    if not link.breaker.allows():
        failed.append(_left_out(link))
        return None
    try:
        made = await link.engine.speak(text, role)
    except FAILURES as error:
        link.breaker.failed()
        failed.append(error)
        log.warning("engine failed", engine=role.voice.engine, code=error.code)
        return None
    link.breaker.succeeded()
    return made


def _left_out(link: Link) -> Unavailable:
    return Unavailable(
        f"{link.engine.engine} has failed, and is tried again in {link.breaker.left:.0f} s.",
        code="nobody_speaks",
        retry_after=link.breaker.left,
    )


def _nobody(failed: list[ChorusError]) -> Unavailable:
    """All have failed. The first is the one that the operator prefers, so its reason comes first."""
    reasons = "; ".join(error.message.rstrip(".") for error in failed)
    return Unavailable(
        f"No engine can speak at the moment ({reasons}). Try again in a minute.", code="nobody_speaks"
    )
