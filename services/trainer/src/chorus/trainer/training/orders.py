"""What an operator does with a job, whoever's it is: cancel it, or have one that failed tried again.

A dead letter is replayed so: the job's entry holds all of it, goes back to the start, and is published under
a new id. One that had committed its model is only published, as any worker would have gone on with it: a
version of it may be there already. Others begin anew, and so does one whose stored model is lost or damaged.
The letter stays where it is, for the record.
"""

from nats.errors import Error as NatsError
from nats.js.errors import APIError

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.training import JobRecord, JobState, Order, job_key, job_subject
from chorus.common.contracts.wire import encode, now
from chorus.common.errors import ChorusError, Conflict, NotFound, QueueFull, Unavailable
from chorus.trainer.training.queue import MESSAGE_ID, withdraw

FULL = 10077  # JetStream's error code: as many jobs of this guild as may be
LOST = frozenset({"no_object", "object_corrupt"})  # codes: a model that was stored cannot be published
WAITS = frozenset({JobState.QUEUED, JobState.PAUSED})


class Orders:
    """`train.v1.order`."""

    def __init__(self, connection: Connection, jobs: Bucket[JobRecord]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._jobs = jobs

    async def carry_out(self, asked: Order) -> JobRecord:
        """Do it; the entry as it is then. Raises `NotFound`, `Conflict`, `QueueFull`, `Unavailable`."""
        key = job_key(asked.guild, asked.job)
        entry = await self._jobs.get(key)
        if entry is None:
            raise NotFound(f"There is no job {asked.job} in {asked.guild}.", code="unknown_job", param="job")
        if asked.action == "cancel":
            return await self._cancel(key)
        return await self._retry(entry.value)

    async def _cancel(self, key: str) -> JobRecord:
        """One that waits is out of the queue at once; a worker sees within seconds that it has to stop."""
        record = (await self._jobs.change(key, _cancelled)).value
        if record.state is JobState.CANCELLED:
            await withdraw(self._connection, record)
        return record

    async def _retry(self, old: JobRecord) -> JobRecord:
        record = (await self._jobs.change(old.key, _queued_again)).value
        try:
            await self._js.publish(
                job_subject(record.job.guild), encode(record.job), headers={MESSAGE_ID: record.message_id}
            )
        except NatsError as error:
            await self._jobs.change(old.key, lambda now: _as_before(old, now))
            raise _refused(record, error) from None
        return record


def _cancelled(record: JobRecord) -> JobRecord:
    if record.state.final or record.committed:
        raise Conflict(f"Job {record.job.job} has ended already ({record.state}).", code="job_ended")
    state = JobState.CANCELLED if record.state in WAITS else JobState.CANCELLING
    return record.model_copy(update={"state": state, "updated_at": now()})


def _queued_again(record: JobRecord) -> JobRecord:
    """As it was when its model was committed, or else when it was submitted, but for how often it ran."""
    if record.state is not JobState.FAILED:
        raise Conflict(
            f"Job {record.job.job} has not failed ({record.state}): there is nothing to try again.",
            code="not_failed",
        )
    queued = JobRecord(
        state=JobState.QUEUED,
        job=record.job,
        claims=record.claims,
        published=record.published + 1,
        stage="tried again, as an operator wants it",
        estimate=record.estimate,
        updated_at=now(),
    )
    if record.committed is None or (record.error is not None and record.error.code in LOST):
        return queued
    done = {name: getattr(record, name) for name in ("committed", "started_at", "seconds", "benchmarks")}
    return queued.model_copy(update=done)


def _as_before(old: JobRecord, record: JobRecord) -> JobRecord:
    """It could not be published: unless a worker has it all the same, it has failed as before."""
    if record.state is not JobState.QUEUED or record.claims != old.claims:
        return record
    return old.model_copy(update={"published": record.published})


def _refused(record: JobRecord, error: NatsError) -> ChorusError:
    if isinstance(error, APIError) and error.err_code == FULL:
        return QueueFull(
            f"{record.job.guild} has as many jobs as it may have. Try this one again when one has ended."
        )
    return Unavailable(f"The queue did not answer ({error}). Try again.", code="queue_unavailable")
