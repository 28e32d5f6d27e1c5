"""Training jobs over the bus: an entry that is the truth, a queue that is the order, events that are news."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.names import job_id
from chorus.common.contracts.topology import EVENTS
from chorus.common.contracts.training import (
    CHECK,
    DATASETS_AT_MOST,
    Checked,
    CheckTraining,
    Control,
    EventData,
    JobError,
    JobEvent,
    JobRecord,
    JobState,
    Learned,
    Parent,
    TrainJob,
    control_subject,
    event_subject,
    job_key,
)
from chorus.common.contracts.wire import decode, encode, now
from chorus.common.errors import (
    Conflict,
    InternalError,
    InvalidInput,
    NotFound,
    QueueFull,
    TimedOut,
    Unavailable,
)
from chorus.common.patience import patiently
from chorus.gateway.backends.queue import publish

CHECKED_WITHIN = 10.0  # seconds; a base's configuration may have to be fetched
LOOK_EVERY = 2.0  # seconds without news until the entry itself is read: an event can be lost
REPEATED_WITHIN = timedelta(minutes=5)  # NATS knows a repetition for ten; after that, the sweeper looks


class BusJobs:
    """`ports.Jobs` over the queue TRAIN and the bucket `jobs`."""

    def __init__(self, connection: Connection, records: Bucket[JobRecord]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._records = records

    # --- from a wish to the queue ----------------------------------------------------------------
    async def submit(
        self,
        data: Sequence[Dataset],
        model: str,
        wishes: Hyperparameters,
        *,
        base: str | None = None,
        parent: Parent | None = None,
        submitted_by: str,
        key: str,
    ) -> JobRecord:
        """Check, create the entry, then publish: a second try with the same key finds the first one's job."""
        _check_count(data)
        job = TrainJob(
            job=job_id(data[0].guild, key),
            guild=data[0].guild,
            model=model,
            data=[Learned(dataset=one.id, examples=one.examples, imitates=one.imitates) for one in data],
            base=base,
            parent=parent,
            hyperparameters=wishes,
            submitted_by=submitted_by,
            submitted_at=now(),
        )
        entry = await self._records.get(job_key(job.guild, job.job))
        record = entry.value if entry else await self._create(job, data)
        begun = record.state is not JobState.QUEUED or record.claims
        if begun or now() - record.job.submitted_at > REPEATED_WITHIN:
            return record
        # Whoever created the entry may have died before publishing. NATS drops a repetition.
        try:
            await patiently(publish)(self._js, record)
        except (QueueFull, InternalError, Unavailable) as refusal:
            error = JobError(code=refusal.code, message=refusal.message)
            with suppress(Unavailable):
                await self._unless_claimed(record, state=JobState.FAILED, error=error)
            raise
        return record

    async def _create(self, job: TrainJob, data: Sequence[Dataset]) -> JobRecord:
        """The entry of a job that nothing is wrong with, as far as is known."""
        checked = Checked()
        with suppress(Unavailable, TimedOut):  # nobody is there to ask; the worker looks again
            checked = await self.check(data, job.hyperparameters, base=job.base, parent=job.parent)
        if problems := checked.problems:
            lines = "\n".join(problem.message for problem in problems)
            raise InvalidInput(lines, code=problems[0].code, param=problems[0].param)
        record = JobRecord(state=JobState.QUEUED, job=job, estimate=checked.estimate, updated_at=now())
        try:
            return (await self._records.create(record.key, record)).value
        except Conflict:
            return await self.get(job.guild, job.job)

    async def check(
        self,
        data: Sequence[Dataset],
        wishes: Hyperparameters,
        *,
        base: str | None = None,
        parent: Parent | None = None,
    ) -> Checked:
        """Ask the trainer, which knows the bases and the operator's limits."""
        _check_count(data)
        question = CheckTraining(
            guild=data[0].guild,
            base=base,
            parent=parent,
            hyperparameters=wishes,
            examples=sum(dataset.card.examples for dataset in data),
            wanted=sum(dataset.card.positive for dataset in data),
            tokens=sum(dataset.card.tokens for dataset in data),
        )
        return await ask(self._connection, CHECK, question, Checked, within=CHECKED_WITHIN)

    async def _unless_claimed(self, record: JobRecord, **changes: object) -> None:
        """Change the entry, unless a worker has the job all the same."""

        def changed(old: JobRecord) -> JobRecord:
            waits = old.state is JobState.QUEUED and old.claims == record.claims
            return old.model_copy(update={**changes, "updated_at": now()}) if waits else old

        await self._records.change(record.key, changed)

    # --- what there is ---------------------------------------------------------------------------
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

    async def follow(self, guild: str, job: str) -> AsyncGenerator[JobRecord | JobEvent]:
        """The entry, brought up to date by each event, until it is final; and each warning."""
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
                        event = await news.get()
                    if event.level == "warn":
                        yield event
                    record = _with(record, event)
                except TimeoutError:
                    with suppress(Unavailable):
                        record = await self.get(guild, job)
                yield record
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def logs(self, guild: str, job: str) -> list[JobEvent]:
        """The job's messages in the stream EVENTS, one after the other: a job has some dozens."""
        await self.get(guild, job)
        events: list[JobEvent] = []
        sequence = 1
        while True:
            try:
                found = await self._js.get_msg(
                    EVENTS, sequence, event_subject(guild, job, "message"), next=True
                )
            except NotFoundError:
                return events
            except NatsError as error:
                raise Unavailable(f"The log could not be read ({error}). Try again.") from None
            events.append(decode(JobEvent, found.data or b""))
            assert found.seq is not None
            sequence = found.seq + 1

    # --- what people want of it meanwhile --------------------------------------------------------
    async def cancel(self, guild: str, job: str) -> JobRecord:
        """Mark the entry, which is what counts, and tell the worker, which is quicker."""

        def cancelled(record: JobRecord) -> JobState:
            _check_can_stop(record)
            waits = record.state in {JobState.QUEUED, JobState.PAUSED}
            return JobState.CANCELLED if waits else JobState.CANCELLING

        return await self._stop(guild, job, "cancel", cancelled)

    async def pause(self, guild: str, job: str) -> JobRecord:
        """The same, to go on later: a job that waits gives its place in the queue up."""

        def paused(record: JobRecord) -> JobState:
            _check_can_stop(record)
            if record.state is JobState.CANCELLING:
                raise Conflict(f"Job {job} is being cancelled: it cannot be paused.", code="too_late")
            if record.state in {JobState.PAUSING, JobState.PAUSED}:
                raise Conflict(f"Job {job} is paused already. !resume {job} goes on.", code="already_paused")
            return JobState.PAUSED if record.state is JobState.QUEUED else JobState.PAUSING

        return await self._stop(guild, job, "pause", paused)

    async def _stop(
        self,
        guild: str,
        job: str,
        action: Literal["cancel", "pause"],
        becomes: Callable[[JobRecord], JobState],
    ) -> JobRecord:
        await self.get(guild, job)
        entry = await self._records.change(
            job_key(guild, job),
            lambda old: old.model_copy(update={"state": becomes(old), "updated_at": now()}),
        )
        await self._connection.publish(control_subject(job), encode(Control(guild=guild, action=action)))
        return entry.value

    async def resume(self, guild: str, job: str) -> JobRecord:
        """Publish it again, under a new id; where the queue is full, it stays paused."""

        def queued(record: JobRecord) -> JobRecord:
            _check_not_ended(record)
            if record.state is not JobState.PAUSED:
                soon = " yet: try again in a moment" if record.state is JobState.PAUSING else ""
                raise Conflict(f"Job {job} is not paused{soon} ({record.state}).", code="not_paused")
            again = {"state": JobState.QUEUED, "published": record.published + 1, "stage": "waiting again"}
            return record.model_copy(update={**again, "updated_at": now()})

        await self.get(guild, job)
        record = (await self._records.change(job_key(guild, job), queued)).value
        try:
            await patiently(publish)(self._js, record)
        except (QueueFull, InternalError, Unavailable) as refusal:
            with suppress(Unavailable):
                await self._unless_claimed(record, state=JobState.PAUSED, stage=refusal.message)
            raise
        return record

    async def decline(self, guild: str, job: str, person: str) -> JobRecord:
        """Write it into the entry, which nobody else changes any more."""
        await self.get(guild, job)
        entry = await self._records.change(job_key(guild, job), lambda old: _declined(old, person))
        return entry.value


def _declined(record: JobRecord, person: str) -> JobRecord:
    """The record of a job whose model is not wanted to answer."""
    if record.result is None:
        raise Conflict(f"Job {record.job.job} has made no model ({record.state}).", code="no_model")
    if record.result.in_use:
        raise Conflict(
            f"{record.result.model} has answered since its training ended: `!rollback {record.job.model}` "
            "takes that back.",
            code="answers_already",
        )
    return record.model_copy(update={"declined_by": person})


def _check_count(data: Sequence[Dataset]) -> None:
    if not 1 <= len(data) <= DATASETS_AT_MOST:
        raise InvalidInput(
            f"A training learns from 1 to {DATASETS_AT_MOST} datasets, not {len(data)}: put some together.",
            code="how_many_datasets",
            param="data",
        )


def _check_not_ended(record: JobRecord) -> None:
    if record.state.final:
        raise Conflict(f"Job {record.job.job} has ended already ({record.state}).", code="job_ended")


def _check_can_stop(record: JobRecord) -> None:
    _check_not_ended(record)
    if record.committed:
        raise Conflict(
            f"Job {record.job.job} is publishing its model: too late to stop. `!use` chooses what answers.",
            code="too_late",
        )


def _with(record: JobRecord, event: JobEvent) -> JobRecord:
    """The record as it is after the event."""
    changes: dict[str, object] = {"state": event.state, "updated_at": now()}
    if event.type == "message" and event.data == EventData() and event.level == "info":
        changes |= {"stage": event.message, "progress": None}  # a new stage begins at nothing
    for name in ("progress", "estimate", "result", "error"):
        if (value := getattr(event.data, name)) is not None:
            changes[name] = value
    if (benchmark := event.data.benchmark) and benchmark not in record.benchmarks:
        changes["benchmarks"] = [*record.benchmarks, benchmark]
    return record.model_copy(update=changes)
