"""Keeps a running stack running: what dies is started again, ever later, and after a while no more.

Only death is watched for. A part that hangs is a matter for its own time-outs and, in a cluster, for
the liveness probe on `/livez`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from chorus.common.errors import Unavailable
from chorus.common.local.process import Process
from chorus.common.service import LASTING

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0  # seconds; doubled with each death
DEATHS, WITHIN = 5, 300.0  # so many deaths in so many seconds, and it is given up
STOP_GRACE = 10.0  # seconds for a part that did not become ready


class Supervisor:
    """Watches processes that were started and are ready; `tell` is told what happens to them."""

    def __init__(self, processes: Sequence[Process], tell: Callable[[str], None]) -> None:
        self._processes = processes
        self._tell = tell

    async def watch(self) -> None:
        """Watch them all, until one has to be given up: raises `Unavailable` with its last words."""
        try:
            async with asyncio.TaskGroup() as group:
                for process in self._processes:
                    group.create_task(self._keep(process))
        except* Unavailable as failures:
            raise failures.exceptions[0] from None

    async def _keep(self, process: Process) -> None:
        name, deaths = process.program.name, deque[float](maxlen=DEATHS)
        while True:
            how = await process.ended()
            deaths.append(time.monotonic())
            if _hopeless(process, deaths):
                raise Unavailable(
                    f"{name} {how} and is not started again. {process.last_words()}", code="gave_up"
                )
            recent = sum(at > deaths[-1] - WITHIN for at in deaths)
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (recent - 1))
            self._tell(f"{name} {how}. It is started again in {delay:.1f} s.")
            await asyncio.sleep(delay)
            await self._start_again(process)

    async def _start_again(self, process: Process) -> None:
        """Start it; one that does not become ready is stopped, and counts as one more death."""
        try:
            await process.start()
            await process.until_ready()
        except (Unavailable, OSError):
            await process.stop(STOP_GRACE)
        else:
            self._tell(f"{process.program.name} is ready again after {process.ready_after or 0:.1f} s.")


def _hopeless(process: Process, deaths: deque[float]) -> bool:
    """Whether it says itself that starting it again does not help, or has died too often."""
    often = len(deaths) == DEATHS and deaths[-1] - deaths[0] < WITHIN
    return often or process.child.returncode in LASTING
