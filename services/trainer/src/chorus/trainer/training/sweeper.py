"""Bringing entries and queue together again, where a crash or an outage has parted them.

    entry                 message        what is done
    queued, running       lost           the message is published again, under a new id
    pausing, cancelling   lost           the entry becomes paused, cancelled: no worker will do it
    ended, paused         there          the message is deleted: its place is the guild's
    any                   out of date    the same: its id is not the entry's

A worker writes its job's entry while it works, and whoever moves a job on changes the entry first. So what
is wrong in two looks that are `2 * ack_wait` apart, with the same revision of the entry, is nobody's. Several
sweepers may look at once: the entry is changed by compare-and-set, and only who has changed it publishes.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.topology import TRAIN
from chorus.common.contracts.training import (
    JOBS_SUBJECT,
    JobEvent,
    JobRecord,
    JobState,
    TrainJob,
    event_subject,
    job_key,
    job_subject,
)
from chorus.common.contracts.wire import decode, encode, now
from chorus.common.errors import ChorusError, Conflict, InvalidInput, Unavailable
from chorus.trainer.training.queue import MESSAGE_ID

SETTLED = {JobState.PAUSING: JobState.PAUSED, JobState.CANCELLING: JobState.CANCELLED}
"""What becomes of a job that no worker will let go of any more."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Message:
    """A job's message in the queue."""

    sequence: int
    key: str
    """Of the job's entry."""
    id: str | None
    """None where it was sent by hand."""


Found = tuple[str, int, int]
"""What is not as it should be: an entry's key and revision, and the message's sequence; 0 without one."""


class Sweeper:
    """Looks every `every` seconds; a job is lost when nothing moved it for twice `ack_wait` seconds."""

    def __init__(
        self,
        connection: Connection,
        jobs: Bucket[JobRecord],
        *,
        every: float,
        ack_wait: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._jobs = jobs
        self._every = every
        self._patience = 2 * ack_wait
        self._clock = clock
        self._since: dict[Found, float] = {}
        """When each was found first."""

    async def run(self) -> None:
        """Sweep, for ever; what fails is tried again."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.sweep()
            except ChorusError as error:
                log.warning("not swept", code=error.code, reason=error.message)

    async def sweep(self) -> None:
        """Look once, and mend what has been wrong for long enough. Raises `Unavailable`."""
        try:
            messages = await self._messages()
        except NatsError as error:
            raise Unavailable(f"The queue did not answer ({error}).", code="queue_unavailable") from None
        entries = {entry.key: entry for entry in await self._jobs.entries()}
        wrong = _wrong(entries, messages)
        at = self._clock()
        found_before, self._since = self._since, {}
        for found, message in wrong.items():
            since = self._since[found] = found_before.get(found, at)
            if found not in found_before or at - since < self._patience:
                continue
            try:
                await (self._delete(message) if message else self._mend(entries[found[0]]))
            except NatsError as error:  # gone meanwhile, or no room: found again, if it is still wrong
                log.warning("not mended", entry=found[0], reason=str(error))

    async def _messages(self) -> list[Message]:
        """All of the queue, one after the other; a guild has few."""
        messages: list[Message] = []
        sequence = 1
        while True:
            try:
                found = await self._js.get_msg(TRAIN, sequence, f"{JOBS_SUBJECT}.*", next=True)
            except NotFoundError:
                return messages
            assert found.seq is not None
            sequence = found.seq + 1
            try:
                job = decode(TrainJob, found.data or b"")
            except InvalidInput:  # a worker gives it to the dead letters
                continue
            message_id = (found.headers or {}).get(MESSAGE_ID)
            messages.append(Message(found.seq, job_key(job.guild, job.job), message_id))

    async def _delete(self, message: Message) -> None:
        """Free its place."""
        await self._js.delete_msg(TRAIN, message.sequence)
        log.info("message without a use deleted", entry=message.key, sequence=message.sequence)

    async def _mend(self, entry: Entry[JobRecord]) -> None:
        """A job whose message is lost."""
        old = entry.value
        state = SETTLED.get(old.state, old.state)
        settled = state is not old.state
        text = str(state) if settled else "Its place in the queue was lost. It is queued again."
        changes = {
            "state": state,
            "stage": text,
            "published": old.published + (0 if settled else 1),
            "worker": None if settled else old.worker,
        }
        try:
            mended = await self._jobs.update(entry, old.model_copy(update={**changes, "updated_at": now()}))
        except Conflict:  # its worker lives, or another sweeper was quicker
            return
        record = mended.value
        log.warning("lost job found", job=record.job.job, guild=record.job.guild, state=record.state)
        if not settled:
            await self._js.publish(
                job_subject(record.job.guild),
                encode(record.job),
                headers={MESSAGE_ID: record.message_id},
            )
        await self._tell(record, text)

    async def _tell(self, record: JobRecord, text: str) -> None:
        job = record.job
        event = JobEvent(
            level="warn", type="message", message=text, guild=job.guild, job=job.job, state=record.state
        )
        await self._connection.publish(event_subject(job.guild, job.job, "message"), encode(event))


def _wrong(entries: dict[str, Entry[JobRecord]], messages: list[Message]) -> dict[Found, Message | None]:
    """What is not as it should be, with the message that is one too many, or None where one is lost."""
    wrong: dict[Found, Message | None] = {}
    good: set[str] = set()
    for message in messages:
        if (entry := entries.get(message.key)) is None:
            continue  # a worker makes one
        record = entry.value
        useless = record.state.final or record.state is JobState.PAUSED
        if useless or message.id not in {None, record.message_id}:
            wrong[entry.key, entry.revision, message.sequence] = message
        else:
            good.add(entry.key)
    for key, entry in entries.items():
        needs_one = entry.value.state is JobState.QUEUED or entry.value.state.held
        if needs_one and key not in good:
            wrong[key, entry.revision, 0] = None
    return wrong
