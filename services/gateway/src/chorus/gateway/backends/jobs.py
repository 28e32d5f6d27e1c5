"""Training jobs over the bus: an entry that is the truth, a queue that is the order, events that are news."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.names import job_id
from chorus.common.contracts.topology import JOBS_PER_GUILD
from chorus.common.contracts.training import (
    Control,
    Hyperparameters,
    JobError,
    JobEvent,
    JobRecord,
    JobState,
    TrainJob,
    control_subject,
    event_subject,
    job_key,
    job_subject,
)
from chorus.common.contracts.wire import decode, encode, now
from chorus.common.errors import Conflict, InternalError, NotFound, QueueFull, Unavailable
from chorus.common.patience import patiently

LOOK_EVERY = 2.0  # seconds without news until the entry itself is read: an event can be lost

FULL = 10077  # JetStream's code for a subject that holds as many messages as it may


class BusJobs:
    """`ports.Jobs` over the queue TRAIN and the bucket `jobs`."""

    def __init__(self, connection: Connection, records: Bucket[JobRecord]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._records = records

    async def submit(
        self, dataset: Dataset, model: str, wishes: Hyperparameters, *, submitted_by: str, key: str
    ) -> JobRecord:
        """Create the entry, then publish: a second try with the same key finds the first one's job."""
        job = TrainJob(
            job=job_id(dataset.guild, key),
            guild=dataset.guild,
            model=model,
            dataset=dataset.id,
            examples=dataset.examples,
            hyperparameters=wishes,
            submitted_by=submitted_by,
            submitted_at=now(),
        )
        record = JobRecord(state=JobState.QUEUED, job=job, updated_at=now())
        try:
            await self._records.create(record.key, record)
        except Conflict:
            record = await self.get(job.guild, job.job)
            if record.state is not JobState.QUEUED or record.attempt:
                return record
            # Not begun: whoever created the entry may have died before publishing. NATS drops a repetition.
        await self._publish(record)
        return record

    async def _publish(self, record: JobRecord) -> None:
        """Publish, however long the queue is away; a job that it does not take is ended."""
        try:
            await patiently(self._publish_once)(record.job)
        except (QueueFull, InternalError, Unavailable) as refusal:
            with suppress(Unavailable):
                await self._end(record, JobError(code=refusal.code, message=refusal.message))
            raise

    async def _publish_once(self, job: TrainJob) -> None:
        """NATS drops what it has already: a try that was not confirmed does no harm."""
        try:
            await self._js.publish(
                job_subject(job.guild), encode(job), headers={"Nats-Msg-Id": f"{job.guild}.{job.job}"}
            )
        except APIError as error:
            if error.err_code == FULL:
                raise QueueFull(
                    f"{JOBS_PER_GUILD} jobs wait or run here already. Wait for one to end, or !cancel one."
                ) from None
            raise InternalError(
                f"The queue refused the job ({error.description}).", code="queue_refused"
            ) from None
        except NatsError:
            raise Unavailable(
                f"The queue did not confirm job {job.job}. Look with `!job {job.job}` before you try again.",
                code="queue_unavailable",
            ) from None

    async def _end(self, record: JobRecord, error: JobError) -> None:
        """End it, unless a worker has it all the same."""
        ended = {"state": JobState.FAILED, "error": error, "updated_at": now()}

        def changed(old: JobRecord) -> JobRecord:
            waits = old.state is JobState.QUEUED and not old.attempt
            return old.model_copy(update=ended) if waits else old

        await self._records.change(record.key, changed)

    async def get(self, guild: str, job: str) -> JobRecord:
        """One job's entry."""
        entry = await self._records.get(job_key(guild, job))
        if entry is None:
            raise NotFound(f"There is no job {job}. !jobs lists them.", code="unknown_job")
        return entry.value

    async def recent(self, guild: str) -> list[JobRecord]:
        """All entries of the guild, newest first."""
        entries = await self._records.entries(f"{guild}.")
        return sorted((e.value for e in entries), key=lambda r: r.job.submitted_at, reverse=True)

    async def cancel(self, guild: str, job: str) -> JobRecord:
        """Mark the entry, which is what counts, and tell the worker, which is quicker."""

        def cancelled(record: JobRecord) -> JobRecord:
            if record.state.final:
                raise Conflict(f"Job {job} has ended already ({record.state}).", code="job_ended")
            if record.committed:
                raise Conflict(
                    f"Job {job} is publishing its model: too late to cancel. `!use` chooses what answers.",
                    code="too_late",
                )
            waits = record.state is JobState.QUEUED
            state = JobState.CANCELLED if waits else JobState.CANCELLING
            return record.model_copy(update={"state": state, "updated_at": now()})

        await self.get(guild, job)
        entry = await self._records.change(job_key(guild, job), cancelled)
        await self._connection.publish(control_subject(job), encode(Control(guild=guild, action="cancel")))
        return entry.value

    async def follow(self, guild: str, job: str) -> AsyncIterator[JobRecord]:
        """The entry, brought up to date by each event, until it is final."""
        news: asyncio.Queue[JobEvent] = asyncio.Queue()

        async def hear(message: Msg) -> None:
            news.put_nowait(decode(JobEvent, message.data))

        subscription = await self._connection.listen(event_subject(guild, job, "*"), cb=hear)
        try:
            record = await self.get(guild, job)
            yield record
            while not record.state.final:
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        record = _with(record, await news.get())
                except TimeoutError:
                    with suppress(Unavailable):
                        record = await self.get(guild, job)
                yield record
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()


def _with(record: JobRecord, event: JobEvent) -> JobRecord:
    """The record as it is after the event."""
    changes: dict[str, object] = {"state": event.state, "updated_at": event.at}
    if event.type == "message":
        changes |= {"stage": event.message, "progress": None}  # a new stage begins at nothing
    for name in ("progress", "result", "error"):
        if (value := getattr(event, name)) is not None:
            changes[name] = value
    return record.model_copy(update=changes)
