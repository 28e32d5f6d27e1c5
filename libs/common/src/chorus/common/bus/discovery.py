"""What a service tells ADR-32 clients about itself: `nats micro ls|info|stats` show it.

Field names and types follow NATS architecture decision 32, `nats micro` and nats.go's `micro`.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from chorus.common.contracts.wire import now

PING, INFO, STATS = "PING", "INFO", "STATS"


@dataclass
class Tally:
    """What one endpoint has done since it started; times in nanoseconds, waiting in the queue included."""

    requests: int = 0
    errors: int = 0
    last_error: str = ""
    nanoseconds: int = 0

    def add(self, started: float, error: str | None) -> None:
        """Count one request that began at `started` (`time.perf_counter`)."""
        self.requests += 1
        self.nanoseconds += int((time.perf_counter() - started) * 1e9)
        if error is not None:
            self.errors += 1
            self.last_error = error


@dataclass(frozen=True)
class Listing:
    """One endpoint as clients see it; metadata values are strings by the standard."""

    name: str
    subject: str
    queue_group: str
    metadata: dict[str, str]
    tally: Tally = field(default_factory=Tally)

    def described(self) -> dict[str, Any]:
        """For INFO."""
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "metadata": self.metadata,
        }

    def counted(self) -> dict[str, Any]:
        """For STATS."""
        done = self.tally
        return {
            "name": self.name,
            "subject": self.subject,
            "queue_group": self.queue_group,
            "num_requests": done.requests,
            "num_errors": done.errors,
            "last_error": done.last_error,
            "processing_time": done.nanoseconds,
            "average_processing_time": done.nanoseconds // max(1, done.requests),
            "data": {},
        }


@dataclass(frozen=True)
class Identity:
    """Who answers: `name` is what it does, `id` which of the processes doing it."""

    name: str
    id: str
    version: str
    description: str
    started: str = field(default_factory=lambda: now().isoformat().replace("+00:00", "Z"))

    def answer(self, verb: str, endpoints: list[Listing]) -> dict[str, Any]:
        """The body of an answer to `$SRV.<verb>`."""
        common = {
            "type": f"io.nats.micro.v1.{verb.lower()}_response",
            "name": self.name,
            "id": self.id,
            "version": self.version,
            "metadata": {},
        }
        if verb == INFO:
            return common | {
                "description": self.description,
                "endpoints": [e.described() for e in endpoints],
            }
        if verb == STATS:
            return common | {"started": self.started, "endpoints": [e.counted() for e in endpoints]}
        return common

    def subjects(self, verb: str) -> tuple[str, str, str]:
        """Where clients may ask: everybody, all of this name, this one."""
        return f"$SRV.{verb}", f"$SRV.{verb}.{self.name}", f"$SRV.{verb}.{self.name}.{self.id}"
