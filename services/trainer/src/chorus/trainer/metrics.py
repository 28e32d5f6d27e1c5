"""The trainer's metrics, as verbs."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chorus.common.contracts.training import JobRecord, Progress

JOB_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
STORE_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300)


class TrainerMetrics:
    """Jobs, and those that run."""

    def __init__(self, registry: CollectorRegistry, *, gpus: int = 1) -> None:
        """`gpus` share one job."""
        self._gpus = gpus
        self._about_jobs(registry)
        self._about_steps(registry)
        self._about_checkpoints(registry)

    def _about_jobs(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "chorus_training_jobs",
            "Jobs that ended here, by state and error code",
            ["state", "code"],
            registry=registry,
        )
        self._attempts = Counter(
            "chorus_training_attempts", "Attempts at jobs that ended, by state", ["state"], registry=registry
        )
        self._seconds = Histogram(
            "chorus_training_seconds", "Time an attempt at a job took", buckets=JOB_SECONDS, registry=registry
        )
        self._gpu_seconds = Counter(
            "chorus_training_gpu_seconds", "Work on jobs, times the GPUs that shared it", registry=registry
        )
        self._waiting = Gauge(
            "chorus_training_oldest_waiting_seconds",
            "How long the oldest job in the queue has waited; 0 where none waits",
            registry=registry,
        )

    def _about_steps(self, registry: CollectorRegistry) -> None:
        self._loss = Gauge("chorus_training_loss", "Loss of the last step, nats a token", registry=registry)
        self._speed = Gauge("chorus_training_tokens_per_second", "Tokens learned from", registry=registry)
        self._mfu = Gauge(
            "chorus_training_mfu", "Share of the machine's peak arithmetic that is used", registry=registry
        )
        self._memory = Gauge(
            "chorus_training_memory_bytes",
            "At most so far in this run: of the GPU, or of the process",
            registry=registry,
        )
        self._out_of_memory = Counter(
            "chorus_training_out_of_memory",
            "How often memory ran out and a step was done in smaller pieces",
            registry=registry,
        )

    def _about_checkpoints(self, registry: CollectorRegistry) -> None:
        self._stored_at = Gauge(
            "chorus_training_checkpoint_timestamp_seconds",
            "When a checkpoint was last stored whole",
            registry=registry,
        )
        self._stored_bytes = Gauge(
            "chorus_training_checkpoint_bytes", "Size of the last checkpoint stored", registry=registry
        )
        self._storing = Histogram(
            "chorus_training_checkpoint_seconds",
            "Time that storing a checkpoint took",
            buckets=STORE_SECONDS,
            registry=registry,
        )

    def waiting(self, oldest: Callable[[], float | None]) -> None:
        """Ask this for the queue's age, in seconds, whenever somebody reads the metrics."""
        self._waiting.set_function(lambda: oldest() or 0.0)

    def attempt_ended(self, record: JobRecord, seconds: float) -> None:
        """One attempt is over."""
        self._attempts.labels(str(record.state)).inc()
        self._seconds.observe(seconds)
        self._gpu_seconds.inc(seconds * self._gpus)

    def job_ended(self, record: JobRecord) -> None:
        """Nothing will change it any more."""
        self._ended.labels(str(record.state), record.error.code if record.error else "").inc()

    def stepped(self, progress: Progress) -> None:
        """A run has gone on."""
        for gauge, value in (
            (self._loss, progress.loss),
            (self._speed, progress.tokens_per_s),
            (self._mfu, progress.mfu),
            (self._memory, progress.memory_bytes),
        ):
            if value is not None:
                gauge.set(value)

    def ran_out_of_memory(self) -> None:
        """A run goes on in smaller pieces."""
        self._out_of_memory.inc()

    def checkpoint_stored(self, size: int, seconds: float) -> None:
        """A checkpoint of so many bytes is whole in S3."""
        self._stored_at.set(time.time())
        self._stored_bytes.set(size)
        self._storing.observe(seconds)
