"""What a job says while it runs: its entry, which is the truth, and its events, which are news.

Every word goes through the worker's claim or beside it as an event; a worker that has lost its claim
falls silent, because the next write raises `ClaimLost`. Events of type `message` are for people, and
make the job's log; those of type `metrics` come each second.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Literal

import structlog
import tenacity
from nats.errors import Error as NatsError

from chorus.common.bus.claims import Claim
from chorus.common.bus.connection import Connection
from chorus.common.contracts.models import Benchmark
from chorus.common.contracts.training import (
    Checkpoint,
    Committed,
    Estimate,
    EventData,
    JobError,
    JobEvent,
    JobRecord,
    JobResult,
    JobState,
    Progress,
    event_subject,
)
from chorus.common.contracts.wire import encode, now
from chorus.common.errors import Cancelled

log = structlog.get_logger()

ENTRY_EVERY = 10.0  # seconds between writes of the progress into the entry; events come each second

TELL_WITHIN = 10.0  # seconds: servers that have lost their leader choose another one within a few

AS_ASKED = {JobState.PAUSING: JobState.PAUSED, JobState.CANCELLING: JobState.CANCELLED}
"""What becomes of a job when its worker lets go of it; what nobody wants to stop waits for a worker."""

Level = Literal["info", "warn", "error"]

_telling = tenacity.AsyncRetrying(
    retry=tenacity.retry_if_exception_type(NatsError),
    stop=tenacity.stop_after_delay(TELL_WITHIN),
    wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),  # seconds
    reraise=True,
)


class Journal:
    """Writes one job's entry and events."""

    def __init__(self, connection: Connection, claim: Claim[JobRecord]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._claim = claim
        self._began = self._written = time.monotonic()
        self._seconds_before = claim.record.seconds

    @property
    def record(self) -> JobRecord:
        """The entry as last seen."""
        return self._claim.record

    @property
    def seconds(self) -> float:
        """Of work on the job, over all attempts."""
        return self._seconds_before + time.monotonic() - self._began

    @contextmanager
    def idle(self) -> Generator[None]:
        """What passes meanwhile is no work."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._began += time.monotonic() - began

    # --- while it runs ---------------------------------------------------------------------------
    async def stage(self, text: str) -> None:
        """Say what begins now."""
        await self._write(stage=text)
        await self._tell("message", text)

    async def warn(self, text: str) -> None:
        """Say what whoever waits should know; nothing new begins."""
        await self._tell("message", text, level="warn")

    async def shown(self, text: str, step: int) -> None:
        """Say that the weights of a step can be talked to."""
        await self._tell("message", text, EventData(checkpoint=step))

    async def planned(self, estimate: Estimate) -> None:
        """Say what it will take."""
        await self._write(estimate=estimate)
        text = f"{_many(estimate.steps, 'step')} in {_many(estimate.epochs, 'epoch')} planned"
        await self._tell("message", text, EventData(estimate=estimate))

    async def progress(self, progress: Progress) -> None:
        """Say how far it is."""
        if time.monotonic() - self._written > ENTRY_EVERY:
            await self._write(progress=progress)
        await self._tell("metrics", "", EventData(progress=progress))

    async def benchmarked(self, benchmark: Benchmark) -> None:
        """Say what it can do by now. An attempt that goes over the same ground again corrects itself."""
        others = [other for other in self.record.benchmarks if other.name != benchmark.name]
        await self._write(benchmarks=[*others, benchmark])
        text = f"{benchmark.name}: loss {benchmark.loss:.3f}, perplexity {benchmark.perplexity:.2f}"
        await self._tell("message", text, EventData(benchmark=benchmark))

    async def checkpointed(self, checkpoint: Checkpoint) -> None:
        """Name a whole checkpoint: whoever has the job next goes on from there."""

        def named(old: JobRecord) -> JobRecord:
            further = old.checkpoint is None or checkpoint.step > old.checkpoint.step
            attempt = 1 if further else old.attempt  # what gets further may fail again as often
            changes = {"checkpoint": checkpoint, "attempt": attempt, "seconds": self.seconds}
            return old.model_copy(update={**changes, "updated_at": now()})

        await self._claim.write(named)
        text = f"checkpoint of step {checkpoint.step} stored"
        await self._tell("message", text, EventData(checkpoint=checkpoint.step))

    async def still_ours(self) -> None:
        """Raise `ClaimLost` if another worker has the job."""
        await self._claim.refresh()

    async def commit(self, what: Committed) -> None:
        """The last moment at which a job can be cancelled, or taken over: from here on it is published."""

        def committed(record: JobRecord) -> JobRecord:
            if record.state is JobState.CANCELLING:
                raise Cancelled("The job was cancelled.")
            return record.model_copy(update={"committed": what, "seconds": self.seconds, "updated_at": now()})

        await self._claim.write(committed)

    # --- how it ends -----------------------------------------------------------------------------
    async def let_go(self, why: str, *, counts: bool = False) -> JobState:
        """Give the job out of hand: paused or cancelled if somebody asked for it, else back into the queue.

        `why` it waits there; `counts` says whether this attempt was one.
        """

        def freed(old: JobRecord) -> JobRecord:
            state = AS_ASKED.get(old.state, JobState.QUEUED)
            changes = {
                "state": state,
                "stage": why if state is JobState.QUEUED else str(state),
                "attempt": old.attempt - (0 if counts else 1),
                "worker": None,
                "progress": old.progress if state is JobState.PAUSED else None,
                "seconds": self.seconds,
            }
            return old.model_copy(update={**changes, "updated_at": now()})

        record = await self._claim.write(freed)
        assert record.stage is not None
        if record.state.final:
            await self._tell_the_end(record.stage)
        else:
            level: Level = "warn" if record.state is JobState.QUEUED else "info"
            await self._tell("message", record.stage, level=level)
        return record.state

    async def succeeded(self, result: JobResult) -> None:
        """The model is published."""
        text = f"{result.model} is trained"
        await self._write(state=JobState.SUCCEEDED, stage=text, result=result)
        await self._tell_the_end(text, EventData(result=result))

    async def failed(self, error: JobError) -> None:
        """It will not become a model."""
        await self._write(state=JobState.FAILED, stage=error.message, error=error)
        await self._tell_the_end(error.message, EventData(error=error), level="error")

    async def _tell_the_end(self, text: str, data: EventData | None = None, level: Level = "info") -> None:
        """Stored, and once: the news of an end should be found later, too."""
        event = self._event("message", text, data, level)
        subject = event_subject(event.guild, event.job, event.type)
        headers = {"Nats-Msg-Id": f"{event.guild}.{event.job}.{event.state}"}
        try:
            await _telling(self._js.publish, subject, encode(event), headers=headers)
        except NatsError as failure:  # the entry says the same, and who follows the job reads it
            log.warning("the news of the end was not stored", error=str(failure))

    async def _write(self, **changes: object) -> None:
        self._written = time.monotonic()
        changes |= {"seconds": self.seconds, "updated_at": now()}
        await self._claim.write(lambda old: old.model_copy(update=changes))

    async def _tell(
        self,
        kind: Literal["message", "metrics"],
        text: str,
        data: EventData | None = None,
        level: Level = "info",
    ) -> None:
        event = self._event(kind, text, data, level)
        with suppress(NatsError):  # news only; the entry tells the truth, and is waited for
            await self._connection.publish(event_subject(event.guild, event.job, kind), encode(event))

    def _event(
        self, kind: Literal["message", "metrics"], text: str, data: EventData | None, level: Level
    ) -> JobEvent:
        record = self.record
        return JobEvent(
            level=level,
            type=kind,
            message=text,
            data=data or EventData(),
            guild=record.job.guild,
            job=record.job.job,
            state=record.state,
        )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
