"""Engines, one after another: what the first cannot do now, the next one does.

An engine that has just failed twice is left out for a while, so that nobody waits for it. Where none of the
others can, it is asked all the same: then nothing is won by waiting, and what failed may have been the text.
Only one that says itself how long it wants to be left alone is asked no sooner. What is wrong with the
question goes to no other.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from chorus.common.errors import ChorusError, InternalError, Misconfigured, TimedOut, Unavailable
from chorus.speech.metrics import Kind, SpeechMetrics
from chorus.speech.voice.breaker import Breaker

FAILURES = (Unavailable, TimedOut, InternalError, Misconfigured)

log = structlog.get_logger()


class Named(Protocol):
    """An engine."""

    @property
    def engine(self) -> str:
        """Its name."""
        ...


E = TypeVar("E", bound=Named)
Given = TypeVar("Given")
Made = TypeVar("Made")


class Chain(Generic[E]):
    """Engines of one kind, with a breaker for each."""

    def __init__(self, kind: Kind, engines: Sequence[E], metrics: SpeechMetrics | None = None) -> None:
        self._kind: Kind = kind
        self._metrics = metrics or SpeechMetrics(CollectorRegistry())
        self._breakers = {engine: Breaker() for engine in engines}
        for engine, breaker in self._breakers.items():
            self._metrics.watch(kind, engine.engine, lambda breaker=breaker: breaker.left)

    def leaves_out(self, engine: E) -> bool:
        """Whether it is left out now."""
        return self._breakers[engine].left > 0

    async def first_that_can(
        self, fit: Sequence[tuple[E, Given]], work: Callable[[E, Given], Awaitable[Made]]
    ) -> Made:
        """Have the first do it that can, of those that fit, each with what it is to be given.

        Raises what is wrong with the question; of an only engine its own error, until it is left out;
        and `Unavailable` (`nobody_hears`, `nobody_speaks`) where all fail.
        """
        failed: dict[E, ChorusError] = {}
        for anyway in (False, True):
            for engine, given in fit:
                if engine in failed or not self._breakers[engine].allows(anyway=anyway):
                    continue
                try:
                    return await self._tried(engine, work(engine, given))
                except FAILURES as error:
                    if len(fit) == 1 and not anyway:
                        raise
                    failed[engine] = error
        raise self._nobody([engine for engine, _ in fit], failed)

    async def _tried(self, engine: E, work: Awaitable[Made]) -> Made:
        began, breaker = time.perf_counter(), self._breakers[engine]
        try:
            made = await work
        except FAILURES as error:
            self._metrics.tried(self._kind, engine.engine, error.code, time.perf_counter() - began)
            breaker.failed(error.retry_after)
            log.warning("engine failed", engine=engine.engine, code=error.code)
            raise
        self._metrics.tried(self._kind, engine.engine, "ok", time.perf_counter() - began)
        breaker.succeeded()
        return made

    def _nobody(self, fit: Sequence[E], failed: dict[E, ChorusError]) -> Unavailable:
        """The first is the one that the operator prefers, so its reason comes first."""
        left = {engine: self._breakers[engine].left for engine in fit}
        reasons = "; ".join(
            f"{engine.engine}: "
            + (
                failed[engine].message.rstrip(".")
                if engine in failed
                else f"left alone for {left[engine]:.0f} s"
            )
            for engine in fit
        )
        return Unavailable(
            f"No engine can {self._kind} at the moment ({reasons}). Try again in a minute.",
            code=f"nobody_{self._kind}s",
            retry_after=min(left.values()) or None,
        )
