"""One job and no more: for a worker that is started for each job, as KEDA does.

    one = OneJob(runner.handle, patience=60.0, stop=service.stopping.set)

The service stops when a job has ended, or when none has come for a while: another worker was faster. A
message whose job had been cancelled before counts as one that has ended. A job that is handed back, because
it is not its turn or will be tried again, has not ended; it is waited for.
"""

import asyncio
from collections.abc import Callable

import structlog

from chorus.common.bus.jobs import Delivery, HandBack, Handle, Outcome

log = structlog.get_logger()


class OneJob:
    """Hands messages on to `handle`, one at a time, until a job has ended; then it calls `stop`.

    It is patient from when it is made. While it has a message in hand, patience does not run.
    """

    def __init__(self, handle: Handle, *, patience: float, stop: Callable[[], None]) -> None:
        """`patience` in seconds: how long no message may come."""
        self._handle = handle
        self._patience = patience
        self._stop = stop
        self._timer = self._wait()

    async def handle(self, delivery: Delivery) -> Outcome:
        """What becomes of one message."""
        self._timer.cancel()
        try:
            outcome = await self._handle(delivery)
        finally:
            self._timer = self._wait()
        if not isinstance(outcome, HandBack):
            self._timer.cancel()
            self._stop()
        return outcome

    def _wait(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._patience, self._lose_patience)

    def _lose_patience(self) -> None:
        log.info("no job came", seconds=self._patience)
        self._stop()
