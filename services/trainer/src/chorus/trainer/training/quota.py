"""How much a guild may train in 24 hours: asked before a job is queued, and by who does the work. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chorus.common.contracts.training import JobRecord
from chorus.common.errors import InvalidInput

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
MINUTES = 24 * 60  # of a day
HOUR = 3600.0  # seconds


@dataclass(frozen=True)
class Quota:
    """What the operator allows each guild."""

    seconds: float | None = None
    """Of work in 24 hours."""

    def left(self, jobs: Iterable[JobRecord], at: datetime) -> float | None:
        """Seconds that the guild of these jobs has left; None where there is no quota."""
        return None if self.seconds is None else max(0.0, self.seconds - seconds_used(jobs, at))

    def refusal(self, jobs: Sequence[JobRecord], at: datetime) -> InvalidInput | None:
        """Why no further training may begin, with the minute in which one may; None where one may now."""
        if self.seconds is None or self.left(jobs, at):
            return None
        minutes = bisect_left(range(MINUTES), True, key=lambda m: self.left(jobs, at + m * MINUTE) != 0)
        free = (at + minutes * MINUTE).strftime("%H:%M")
        return InvalidInput(
            f"The {self.seconds / HOUR:.1f} hours of training that are free in 24 hours are used up. "
            f"There is time again at {free} UTC.",
            code="quota_used_up",
        )


def seconds_used(jobs: Iterable[JobRecord], at: datetime) -> float:
    """Seconds of work in the 24 hours before `at`. All of a job's work counts as done when last heard of."""
    since = at - DAY
    return sum(
        max(0.0, min(job.seconds, (job.updated_at - since).total_seconds())) for job in jobs if job.seconds
    )
