"""How long a job may go on: what whoever submitted it set, and what the operator did. Pure.

A limit counts the work of all attempts. When it is reached, what has been learned by then is published.
"""

from dataclasses import dataclass

from chorus.common.contracts.hyperparameters import Hyperparameters

HOUR = 3600.0  # seconds
AT_LEAST = 1.0  # seconds: to load what has been learned, and publish it


@dataclass(frozen=True)
class Limits:
    """What the operator allows."""

    seconds: float | None = None
    """Of work on each job."""
    price_per_hour: float = 0.0
    """What an hour of it costs, in the operator's currency; 0 where nobody counts."""

    def seconds_left(
        self, wishes: Hyperparameters, worked: float, of_quota: float | None = None
    ) -> float | None:
        """Until the first limit is reached, after so many seconds of work; None where there is none.

        `of_quota` is what the guild has left of its time, with that work taken off already.
        A spend limit needs a price: without one it is refused when the job is checked, and not seen here.
        """
        limits = [self.seconds, wishes.max_seconds]
        if wishes.max_cost is not None and self.price_per_hour:
            limits.append(wishes.max_cost / self.price_per_hour * HOUR)
        left = [of_quota, *(limit - worked for limit in limits if limit is not None)]
        tightest = min((seconds for seconds in left if seconds is not None), default=None)
        return None if tightest is None else max(AT_LEAST, tightest)
