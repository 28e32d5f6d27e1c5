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
    """Hands messages on to `handle`, one at a time, until a job has ended; then it calls `stop`."""

    def __init__(self, handle: Handle, *, patience: float, stop: Callable[[], None]) -> None:
        """`patience` in seconds: how long no message may come."""
        self._handle = handle
        self._patience = patience
        self._stop = stop
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    async def handle(self, delivery: Delivery) -> Outcome:
        """What becomes of one message."""
        self._came.set()
        try:
            outcome = await self._handle(delivery)
        finally:
            self._went.set()
        if not isinstance(outcome, HandBack):
            self._stop()
        return outcome

    async def lose_patience(self) -> None:
        """Stop the service when nothing comes. For as long as the worker fetches."""
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    await self._came.wait()
            except TimeoutError:
                log.info("no job came", seconds=self._patience)
                self._stop()
                return
            await self._went.wait()
            self._came.clear()
            self._went.clear()
