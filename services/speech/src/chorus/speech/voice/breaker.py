"""Leaves out what has just failed, and tries it again after a while. Pure, but for the clock."""

import time
from collections.abc import Callable

FAILURES = 2  # in a row
PAUSE = 60.0  # seconds
LONGEST = 3600.0  # seconds, whatever the engine's own server says


class Breaker:
    """A circuit breaker: open after failures in a row; after the pause one try decides for all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0  # after failures
        self._told = 0.0  # until when the engine itself wants to be left alone

    @property
    def left(self) -> float:
        """Seconds until it is tried again; 0 where it may be used now."""
        until = max(self._told, self._until if self._failures >= FAILURES else 0.0)
        return max(0.0, until - self._clock())

    def allows(self, *, anyway: bool = False) -> bool:
        """Whether to try now; who is told so is the one who tries, and after failures others wait for that.

        `anyway` is for where no other can: then it is left alone only where it says so itself.
        """
        now = self._clock()
        if now < self._told or (self.left and not anyway):
            return False
        self._until = now + PAUSE
        return True

    def succeeded(self) -> None:
        """It works."""
        self._failures = 0

    def failed(self, stay_away: float | None = None) -> None:
        """It does not. Where it says for how many seconds to stay away, it is not tried twice."""
        now = self._clock()
        self._failures = FAILURES if stay_away else self._failures + 1
        self._until = now + PAUSE
        if stay_away:
            self._told = max(self._told, now + min(stay_away, LONGEST))
