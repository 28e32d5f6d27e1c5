"""What a job says while it runs: its entry, which is the truth, and its events, which are news.

Every word goes through the worker's claim or beside it as an event; a worker that has lost its claim
falls silent, because the next write raises `ClaimLost`.
"""

import time
from contextlib import suppress

import structlog
from nats.errors import Error as NatsError

from chorus.common.bus.claims import Claim
from chorus.common.bus.connection import Connection
from chorus.common.contracts.training import (
    Committed,
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


class Journal:
    """Writes one job's entry and events."""

    def __init__(self, connection: Connection, claim: Claim[JobRecord]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._claim = claim
        self._written = time.monotonic()

    @property
    def record(self) -> JobRecord:
        """The entry as last seen."""
        return self._claim.record

    async def stage(self, text: str) -> None:
        """Say what begins now."""
        await self._write(stage=text)
        await self._tell("message", text)

    async def progress(self, progress: Progress) -> None:
        """Say how far it is."""
        if time.monotonic() - self._written > ENTRY_EVERY:
            await self._write(progress=progress)
        await self._tell("metrics", "", progress=progress)

    async def commit(self, what: Committed) -> None:
        """The last moment at which a job can be cancelled, or taken over: from here on it is published."""

        def committed(record: JobRecord) -> JobRecord:
            if record.state is JobState.CANCELLING:
                raise Cancelled("The job was cancelled.")
            return record.model_copy(update={"committed": what, "updated_at": now()})

        await self._claim.write(committed)

    async def hand_back(self, why: str, *, counts: bool) -> None:
        """Put the job back into the queue; `counts` says whether this attempt was one."""
        attempt = self.record.attempt - (0 if counts else 1)
        await self._write(state=JobState.QUEUED, worker=None, stage=why, attempt=attempt, progress=None)
        await self._tell("message", why, level="warn")

    async def succeeded(self, result: JobResult) -> None:
        """The model is published."""
        await self._end(JobState.SUCCEEDED, f"{result.model} is trained", result=result)

    async def failed(self, error: JobError) -> None:
        """It will not become a model."""
        await self._end(JobState.FAILED, error.message, error=error)

    async def cancelled(self) -> None:
        """It was stopped, as asked."""
        await self._end(JobState.CANCELLED, "cancelled")

    async def _end(
        self, state: JobState, text: str, *, result: JobResult | None = None, error: JobError | None = None
    ) -> None:
        await self._write(state=state, stage=text, result=result, error=error)
        event = self._event("message", text, "error" if error else "info", result=result, error=error)
        subject = event_subject(event.guild, event.job, "message")
        try:  # stored, and once: the news of an end should be found later, too
            await self._js.publish(
                subject, encode(event), headers={"Nats-Msg-Id": f"{event.guild}.{event.job}.{state}"}
            )
        except NatsError as failure:  # the entry says the same, and who follows the job reads it
            log.warning("the news of the end was not stored", error=str(failure))

    async def _write(self, **changes: object) -> None:
        self._written = time.monotonic()
        await self._claim.write(lambda old: old.model_copy(update={**changes, "updated_at": now()}))

    async def _tell(
        self, type_: str, text: str, *, level: str = "info", progress: Progress | None = None
    ) -> None:
        event = self._event(type_, text, level, progress=progress)
        with suppress(NatsError):  # news only; the entry tells the truth, and is waited for
            await self._connection.publish(event_subject(event.guild, event.job, type_), encode(event))

    def _event(self, type_: str, text: str, level: str, **details: object) -> JobEvent:
        record = self.record
        return JobEvent.model_validate(
            {
                "guild": record.job.guild,
                "job": record.job.job,
                "at": now(),
                "level": level,
                "type": type_,
                "message": text,
                "state": record.state,
                **details,
            }
        )
