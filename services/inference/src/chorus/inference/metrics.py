"""Inference's metrics, as verbs."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram

FIRST = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class InferenceMetrics:
    """Answers as they are written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tokens = Counter("chorus_generated_tokens", "Tokens written", registry=registry)
        self._first = Histogram(
            "chorus_time_to_first_token_seconds",
            "From a request's start to its first token",
            buckets=FIRST,
            registry=registry,
        )

    def watch(self) -> "Watch":
        """Time an answer from now on."""
        return Watch(self)

    def wrote(self, tokens: int) -> None:
        """Count tokens."""
        self._tokens.inc(tokens)

    def first(self, seconds: float) -> None:
        """Note a time to first token."""
        self._first.observe(seconds)


class Watch:
    """One answer's stop-watch."""

    def __init__(self, metrics: InferenceMetrics) -> None:
        self._metrics = metrics
        self._started: float | None = time.perf_counter()

    def wrote(self, tokens: int) -> None:
        """Some tokens have been written; the first ones stop the watch."""
        self._metrics.wrote(tokens)
        if self._started is not None and tokens:
            self._metrics.first(time.perf_counter() - self._started)
            self._started = None
