"""Discord's rate limits: a bucket for each channel and kind of request, and one for all that a bot asks."""

import asyncio
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime, timedelta

REQUESTS, SECONDS = 5, 5.0
A_SECOND = 50
EDITED_TOO_OFTEN = 30046
OLD = timedelta(hours=1)
EDITS_WHEN_OLD = 2  # of a message; Discord tells nobody how many


class Limits:
    """Who asks too often is told when to come again, and counted."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)
        self._all: deque[float] = deque()
        self.a_second: int | None = A_SECOND
        """Requests of the bot in a second, whatever they are; None for a bot of which Discord counts none."""
        self._old_edits: Counter[str] = Counter()
        self.ahead = timedelta()
        """How much later it is at Discord than here: the time that a test lets pass."""
        self.again_when_old = 90.0
        """Seconds until a message that has grown old may be edited again."""
        self.refused = 0

    def take(self, bucket: str) -> tuple[float | None, dict[str, str]]:
        """Seconds to wait (None if it is let through), and the headers that say how much is left."""
        taken = self._taken[bucket]
        wait = self._wait(taken, REQUESTS, SECONDS)
        now = asyncio.get_running_loop().time()
        return wait, {
            "X-RateLimit-Limit": str(REQUESTS),
            "X-RateLimit-Remaining": str(REQUESTS - len(taken)),
            "X-RateLimit-Reset-After": f"{SECONDS - (now - taken[0]):.3f}",
            "X-RateLimit-Bucket": bucket.split()[0],
        }

    def take_any(self) -> float | None:
        """Seconds until the bot may ask for anything at all; None if it may now."""
        return None if self.a_second is None else self._wait(self._all, self.a_second, 1.0)

    def take_edit(self, message: str, said_at: datetime) -> float | None:
        """Seconds until a message may be edited as far as its age goes; None if it may now."""
        if datetime.now(UTC) + self.ahead - said_at < OLD:
            return None
        self._old_edits[message] += 1
        return self.again_when_old if self._old_edits[message] > EDITS_WHEN_OLD else None

    def _wait(self, taken: deque[float], most: int, seconds: float) -> float | None:
        now = asyncio.get_running_loop().time()
        while taken and now - taken[0] >= seconds:
            taken.popleft()
        if len(taken) < most:
            taken.append(now)
            return None
        self.refused += 1
        return seconds - (now - taken[0])
