"""Putting a job into the queue: one try, with an error that people understand."""

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from chorus.common.contracts.topology import JOBS_PER_GUILD
from chorus.common.contracts.training import JobRecord, job_subject
from chorus.common.contracts.wire import encode
from chorus.common.errors import InternalError, QueueFull, Unavailable
from chorus.common.telemetry.tracing import carried

FULL = 10077  # JetStream's code for a subject that holds as many messages as it may


async def publish(js: JetStreamContext, record: JobRecord) -> None:
    """Publish the job's message. NATS drops what it has already: a try that was not confirmed does no harm.

    Raises `QueueFull`, `InternalError`, or `Unavailable` where the queue does not answer.
    """
    job = record.job
    try:
        headers = {"Nats-Msg-Id": record.message_id} | carried()
        await js.publish(job_subject(job.guild), encode(job), headers=headers)
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
