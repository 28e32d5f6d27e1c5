"""The trainer's metrics, as verbs."""

import time
from collections import Counter as Counts
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chorus.common.contracts.training import JobRecord, JobState, Progress

JOB_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
STEP_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STORE_SECONDS = (0.1, 0.5, 1, 5, 15, 60, 300)


ENDS = tuple(state for state in JobState if state.final)
OURS = ("gave_up", "internal_error")
"""Codes of failures that no guild can mend."""


class QueueMetrics:
    """Jobs, in the whole cluster, as every process of the trainer sees them: take the maximum, not the sum.

    Ends are counted here, since a worker may end together with its job, before Prometheus has asked it. What
    is to be seen from the first time on is there from the start, as 0.
    """

    def __init__(self, registry: CollectorRegistry, *, gpus: int = 1) -> None:
        """`gpus` share one job."""
        self._gpus = gpus
        self._by_state = Gauge(
            "chorus_training_queue_jobs", "Jobs that have not ended, by state", ["state"], registry=registry
        )
        self._waiting = Gauge(
            "chorus_training_oldest_waiting_seconds",
            "How long the oldest job in the queue has waited; 0 where none waits",
            registry=registry,
        )
        self._about_ends(registry)

    def _about_ends(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "chorus_training_jobs", "Jobs that ended, by state", ["state"], registry=registry
        )
        self._failed = Counter(
            "chorus_training_failures", "Jobs that failed, by the error's code", ["code"], registry=registry
        )
        for counter, values in ((self._ended, ENDS), (self._failed, OURS)):
            for value in values:
                counter.labels(str(value))
        self._attempts = Counter(
            "chorus_training_attempts",
            "How often a worker took up the jobs that ended",
            registry=registry,
        )
        self._seconds = Histogram(
            "chorus_training_seconds",
            "Work on a job that ended, all attempts together",
            buckets=JOB_SECONDS,
            registry=registry,
        )
        self._gpu_seconds = Counter(
            "chorus_training_gpu_seconds",
            "Work on jobs that ended, times the GPUs that share one (CHORUS_GPUS_PER_JOB)",
            registry=registry,
        )

    def watch(self, jobs: Callable[[], Counts[JobState]], oldest: Callable[[], float | None]) -> None:
        """Ask for the jobs that have not ended, and the oldest one's age in seconds, when it is read."""
        for state in JobState:
            if not state.final:
                self._by_state.labels(str(state)).set_function(lambda state=state: jobs()[state])
        self._waiting.set_function(lambda: oldest() or 0.0)

    def job_ended(self, record: JobRecord) -> None:
        """Nothing will change it any more."""
        self._ended.labels(str(record.state)).inc()
        if record.error is not None:
            self._failed.labels(record.error.code).inc()
        if record.claims:  # else it was cancelled before anybody took it
            self._attempts.inc(record.claims)
            self._seconds.observe(record.seconds)
            self._gpu_seconds.inc(record.seconds * self._gpus)


class TrainerMetrics:
    """Jobs that run here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._about_steps(registry)
        self._about_checkpoints(registry)

    def _about_steps(self, registry: CollectorRegistry) -> None:
        self._steps: dict[str, tuple[int, float]] = {}
        """Of each job that runs here, its last step and when that was, in the monotonic clock's seconds."""
        self._stepped = Counter("chorus_training_steps", "Steps that were made", registry=registry)
        self._step_seconds = Histogram(
            "chorus_training_step_seconds", "Time of a step", buckets=STEP_SECONDS, registry=registry
        )
        self._loss = Gauge("chorus_training_loss", "Loss of the last step, nats a token", registry=registry)
        self._speed = Gauge(
            "chorus_training_tokens_per_second",
            "Tokens learned from in a second; 0 where no job runs",
            registry=registry,
        )
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

    def attempt_ended(self, job: str) -> None:
        """One attempt is over."""
        if self._steps.pop(job, None) and not self._steps:
            for gauge in (self._speed, self._mfu, self._memory):
                gauge.set(0)

    def stepped(self, job: str, progress: Progress) -> None:
        """A run has gone on, since it was last told by one step or by several."""
        at = time.monotonic()
        before, since = self._steps.get(job, (progress.step, at))
        self._steps[job] = progress.step, at
        if (steps := progress.step - before) > 0:
            self._stepped.inc(steps)
            for _ in range(steps):
                self._step_seconds.observe((at - since) / steps)
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
