"""The trainer's metrics, as verbs."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chorus.common.contracts.training import Progress

JOB_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)


class TrainerMetrics:
    """Jobs, and the one that runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Counter(
            "chorus_training_attempts", "Attempts at jobs that ended, by state", ["state"], registry=registry
        )
        self._seconds = Histogram(
            "chorus_training_seconds", "Time an attempt at a job took", buckets=JOB_SECONDS, registry=registry
        )
        self._loss = Gauge("chorus_training_loss", "Loss of the last step, nats a token", registry=registry)
        self._speed = Gauge("chorus_training_tokens_per_second", "Tokens learned from", registry=registry)

    def job_ended(self, state: str, seconds: float) -> None:
        """One attempt is over."""
        self._jobs.labels(state).inc()
        self._seconds.observe(seconds)

    def stepped(self, progress: Progress) -> None:
        """A run has gone on."""
        if progress.loss is not None:
            self._loss.set(progress.loss)
        if progress.tokens_per_s is not None:
            self._speed.set(progress.tokens_per_s)
