"""Metrics as verbs: a service says what happened, Prometheus counts. The registry is always given.

What all services count is here; each has a `metrics.py` for what is its own. docs/metrics.md lists them all.
"""

import shutil
from pathlib import Path

from nats.errors import SlowConsumerError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class RequestMetrics:
    """Requests a service has answered over the bus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "chorus_requests",
            "Requests answered, by endpoint and outcome (an error's code, or ok)",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "chorus_request_seconds",
            "Time from a request's arrival to its last reply",
            ["endpoint"],
            buckets=SECONDS,
            registry=registry,
        )

    def ended(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(endpoint, outcome).inc()
        self._seconds.labels(endpoint).observe(seconds)


class BusMetrics:
    """The connection to NATS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connected = Gauge(
            "chorus_bus_connected", "1 while there is a connection to NATS", registry=registry
        )
        self._outages = Counter(
            "chorus_bus_disconnects", "How often the connection to NATS broke", registry=registry
        )
        self._refused = Counter(
            "chorus_bus_refused",
            "What NATS did not permit: publish or subscription",
            ["deed"],
            registry=registry,
        )
        self._errors = Counter(
            "chorus_bus_errors",
            "Other errors of the connection, by class; SlowConsumerError: messages were dropped here",
            ["error"],
            registry=registry,
        )

        for deed in ("publish", "subscription"):
            self._refused.labels(deed)  # 0 from the beginning, so that the first one is seen as a rise
        self._errors.labels(SlowConsumerError.__name__)

    def connected(self) -> None:
        """There is a connection, for the first time or again."""
        self._connected.set(1)

    def disconnected(self) -> None:
        """It broke."""
        self._connected.set(0)
        self._outages.inc()

    def refused(self, deed: str) -> None:
        """NATS did not let us do it."""
        self._refused.labels(deed).inc()

    def failed(self, error: Exception) -> None:
        """Something else went wrong."""
        self._errors.labels(type(error).__name__).inc()


class ObjectMetrics:
    """Calls of the object store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "chorus_object_calls",
            "Calls of the object store, by outcome (an error's code, or ok)",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "chorus_object_call_seconds",
            "Time of a call of the object store, its retries included",
            buckets=SECONDS,
            registry=registry,
        )
        for outcome in ("ok", "objects_unavailable"):
            self._calls.labels(outcome)

    def ended(self, outcome: str, seconds: float) -> None:
        """Count one call."""
        self._calls.labels(outcome).inc()
        self._seconds.observe(seconds)


def watch_disk(registry: CollectorRegistry, folder: Path) -> None:
    """Tell how much room is left where this folder is, or will be, whenever somebody reads the metrics."""
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = Gauge("chorus_disk_free_bytes", "Room left where the cache's folder is", registry=registry)
    size = Gauge("chorus_disk_bytes", "Room in all where the cache's folder is", registry=registry)
    free.set_function(lambda: shutil.disk_usage(there).free)
    size.set_function(lambda: shutil.disk_usage(there).total)
