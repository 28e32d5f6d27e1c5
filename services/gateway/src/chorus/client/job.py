"""A training that goes on: to be watched, and waited for."""

import asyncio
from collections.abc import AsyncIterator, Generator

from chorus.common.contracts.training import JobRecord, JobResult
from chorus.common.errors import InternalError
from chorus.gateway.commands.replies import Moment, Problem
from chorus.gateway.commands.trainings import Jobs


class Failed(InternalError):
    """A training did not work; `code` says how, as at the console."""

    default_code = "training_failed"


class Job:
    """`await` it for its result, or go through its moments; it goes on whether or not somebody does.

    job = client.train("examples.json")
    async for moment in job:
        print(moment.stage, moment.done, moment.total)
    print((await job).model)
    """

    def __init__(self, moments: AsyncIterator[Moment], jobs: Jobs, guild: str) -> None:
        self._jobs = jobs
        self._guild = guild
        self._moments: list[Moment] = []
        self._news = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(moments))

    @property
    def id(self) -> str | None:
        """The job's id, once it is in the queue: until then the data becomes a dataset."""
        return next((moment.job for moment in self._moments if moment.job), None)

    async def _watch(self, moments: AsyncIterator[Moment]) -> None:
        try:
            async for moment in moments:
                self._moments.append(moment)
                self._news.set()
        finally:
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[Moment]:
        """How far it is, from its beginning to its end."""
        seen = 0
        while True:
            while seen < len(self._moments):
                yield self._moments[seen]
                seen += 1
            if self._watching.done():
                return
            self._news.clear()
            await self._news.wait()

    def __await__(self) -> Generator[object, None, JobResult | None]:
        """As `done`."""
        return self.done().__await__()

    async def done(self) -> JobResult | None:
        """Wait for its end: what came of it, or None where it was paused or there was nothing to train.

        Raises `Failed` with the job's own code. Giving up waiting does not end the job: `cancel` does.
        """
        await asyncio.shield(self._watching)
        outcome = self._moments[-1].outcome if self._moments else None
        if isinstance(outcome, Problem):
            raise Failed(outcome.message, code=outcome.code)
        return (await self._record()).result if self.id else None

    async def cancel(self) -> JobRecord:
        """Ask for it to stop. Raises `Conflict` if it has ended, `Failed` before it is in the queue."""
        return await self._jobs.cancel(self._guild, self._in_queue())

    async def leave(self) -> None:
        """Watch it no more; it goes on."""
        self._watching.cancel()
        await asyncio.wait([self._watching])

    async def _record(self) -> JobRecord:
        return await self._jobs.get(self._guild, self._in_queue())

    def _in_queue(self) -> str:
        if self.id is None:
            raise Failed("It is not in the queue yet: its data is still being read.", code="not_queued")
        return self.id
