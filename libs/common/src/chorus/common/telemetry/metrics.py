"""Metrics as verbs: a service says what happened, Prometheus counts. The registry is always given."""

from prometheus_client import CollectorRegistry, Counter, Histogram

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
