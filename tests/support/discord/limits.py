"""Discord's rate limits: a bucket for each channel and kind of request."""

import asyncio
from collections import defaultdict, deque

REQUESTS, SECONDS = 5, 5.0


class Limits:
    """Who asks too often is told when to come again, and counted."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, deque[float]] = defaultdict(deque)
        self.refused = 0

    def take(self, bucket: str) -> tuple[float | None, dict[str, str]]:
        """Seconds to wait (None if it is let through), and the headers that say how much is left."""
        now = asyncio.get_running_loop().time()
        taken = self._taken[bucket]
        while taken and now - taken[0] >= SECONDS:
            taken.popleft()
        wait = SECONDS - (now - taken[0]) if len(taken) >= REQUESTS else None
        if wait is None:
            taken.append(now)
        else:
            self.refused += 1
        return wait, {
            "X-RateLimit-Limit": str(REQUESTS),
            "X-RateLimit-Remaining": str(REQUESTS - len(taken)),
            "X-RateLimit-Reset-After": f"{SECONDS - (now - taken[0]):.3f}",
            "X-RateLimit-Bucket": bucket.split()[0],
        }
