"""Waiting out an outage: a call that failed because a peer is away is made again until it is back.

For work that is nobody's to repeat: a training, or a job that was handed over and must not hang between its
entry and its message. A person's question is refused at once instead, with the reason.
"""

import structlog
import tenacity

from chorus.common.errors import ChorusError

OUTAGE = 120.0  # seconds; NATS or S3 started again is back within a few
LONGEST_PAUSE = 3.0  # seconds between two tries

log = structlog.get_logger()


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, ChorusError) and error.retryable


def _note(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("waiting for a peer to come back", error=str(error), tries=state.attempt_number)


patiently = tenacity.retry(
    retry=tenacity.retry_if_exception(_is_outage),
    stop=tenacity.stop_after_delay(OUTAGE),
    wait=tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_PAUSE),
    before_sleep=_note,
    reraise=True,
)
"""Makes a coroutine function patient; after `OUTAGE` seconds the last error is raised as it came."""
