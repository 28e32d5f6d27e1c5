"""Taking a job that nobody will run out of the queue: its place is free for the guild's next one."""

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery
from chorus.common.contracts.topology import TRAIN
from chorus.common.contracts.training import JobRecord, TrainJob, job_subject
from chorus.common.contracts.wire import decode
from chorus.common.errors import InvalidInput
from chorus.common.telemetry.tracing import carried

log = structlog.get_logger()

MESSAGE_ID = "Nats-Msg-Id"


async def withdraw(connection: Connection, record: JobRecord) -> None:
    """Delete the message of a job that was cancelled or paused while it waited.

    One that is left is met later, and seen to be out of date; one that was published since, because
    somebody resumed the job, has another id and stays.
    """
    try:
        if (sequence := await _find(connection, record)) is not None:
            await connection.jetstream().delete_msg(TRAIN, sequence)
    except NatsError as error:  # several workers do this at once; the first one has done it
        log.info("not withdrawn", job=record.job.job, error=str(error))


async def give_up(connection: Connection, delivery: Delivery, reason: str) -> None:
    """Keep the message among the dead letters, where an operator finds it with its reason."""
    guild = delivery.subject.rsplit(".", 1)[-1]
    await connection.jetstream().publish(
        f"dlq.train.{guild}",
        delivery.data,
        headers={"X-Dlq-Reason": h.shorten(reason), MESSAGE_ID: f"{delivery.sequence}"} | carried(),
    )
    log.error("job given up", reason=reason)


async def _find(connection: Connection, record: JobRecord) -> int | None:
    """The sequence number of the job's message; a guild has few messages."""
    js, sequence = connection.jetstream(), 1
    while True:
        try:
            message = await js.get_msg(TRAIN, sequence, job_subject(record.job.guild), next=True)
        except NotFoundError:
            return None
        assert message.seq is not None
        named = (message.headers or {}).get(MESSAGE_ID, record.message_id)  # one sent by hand has no id
        if named == record.message_id and _is(record.job.job, message.data or b""):
            return message.seq
        sequence = message.seq + 1


def _is(job: str, data: bytes) -> bool:
    try:
        return decode(TrainJob, data).job == job
    except InvalidInput:
        return False
