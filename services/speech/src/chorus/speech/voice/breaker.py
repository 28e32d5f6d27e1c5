"""Leaves out what has just failed, and tries it again after a while. Pure, but for the clock."""

import time
from collections.abc import Callable

FAILURES = 2  # in a row
PAUSE = 60.0  # seconds


class Breaker:
    """A circuit breaker: open after failures in a row; after the pause one try decides for all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def left(self) -> float:
        """Seconds until it is tried again; 0 where it may be used now."""
        return max(0.0, self._until - self._clock()) if self._failures >= FAILURES else 0.0

    def allows(self) -> bool:
        """Whether to try now; who is told so is the one who tries."""
        if self.left:
            return False
        self.begins()
        return True

    def begins(self) -> None:
        """Somebody tries it: after failures the others wait for what that one finds."""
        self._until = self._clock() + PAUSE

    def succeeded(self) -> None:
        """It works."""
        self._failures = 0

    def failed(self) -> None:
        """It does not."""
        self._failures += 1
        self._until = self._clock() + PAUSE
