"""Taking a job that nobody will run out of the queue: its place is free for the guild's next one at once."""

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from chorus.common.bus.connection import Connection
from chorus.common.contracts.topology import TRAIN
from chorus.common.contracts.training import TrainJob, job_subject
from chorus.common.contracts.wire import decode
from chorus.common.errors import InvalidInput

log = structlog.get_logger()


async def withdraw(connection: Connection, guild: str, job: str) -> None:
    """Delete the message of a job that waits. One that is left is met later, and seen to have ended."""
    try:
        if (sequence := await _find(connection, guild, job)) is not None:
            await connection.jetstream().delete_msg(TRAIN, sequence)
    except NatsError as error:  # several workers do this at once; the first one has done it
        log.info("not withdrawn", job=job, error=str(error))


async def _find(connection: Connection, guild: str, job: str) -> int | None:
    """The sequence number of the job's message; a guild has few messages."""
    js, sequence = connection.jetstream(), 1
    while True:
        try:
            message = await js.get_msg(TRAIN, sequence, job_subject(guild), next=True)
        except NotFoundError:
            return None
        assert message.seq is not None
        if _is(job, message.data or b""):
            return message.seq
        sequence = message.seq + 1


def _is(job: str, data: bytes) -> bool:
    try:
        return decode(TrainJob, data).job == job
    except InvalidInput:
        return False
