"""One attempt at a training: the child process, from where the last attempt came to, and what it tells."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import structlog

from chorus.common.errors import InternalError, InvalidInput
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.process import Child
from chorus.trainer.training.checkpoints import Checkpoints
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.newest import Newest
from chorus.trainer.training.process import Start
from chorus.trainer.training.report import (
    Benchmarked,
    Failed,
    Notice,
    Order,
    Paused,
    Planned,
    Report,
    Saved,
    Snapshot,
    Stage,
    Step,
    Trained,
)

REFUSED = {"damaged_checkpoint", "other_checkpoint"}
"""Why a child does not go on from a checkpoint: an older one may do."""

SHOWN_WITHIN = 10.0  # seconds that the end waits for the last snapshot; what counts then is the version

log = structlog.get_logger()


class Attempt:
    """Runs the child for one job, once."""

    def __init__(
        self,
        journal: Journal,
        checkpoints: Checkpoints,
        show: Callable[[Snapshot], Awaitable[None]],
        refusal: Callable[[], Awaitable[InvalidInput | None]],
        metrics: TrainerMetrics,
        start: Start,
    ) -> None:
        """`show` makes a snapshot known, so that it can be talked to; `start` starts the child.

        `refusal` is why the job may not go on, if it may not: a deletion takes checkpoints away once, and
        what is stored later has those words again.
        """
        self._journal = journal
        self._checkpoints = checkpoints
        self._show = show
        self._refusal = refusal
        self._refused: InvalidInput | None = None
        self._metrics = metrics
        self._start = start

    async def run(self, order: Order, folder: Path, pause: asyncio.Event) -> Trained | None:
        """Go on from the newest checkpoint that will do, or begin; None when it was paused.

        Raises `InvalidInput` with the child's own code where the order cannot be carried out, and with that
        of the refusal where the job may not go on.
        """
        tried = 0
        async with aclosing(self._checkpoints.whole(folder / "resume")) as whole:
            async for saved in whole:
                tried += 1
                if pause.is_set():
                    return None
                await self._journal.stage(f"going on from step {saved.step}")
                try:
                    return await self._follow(
                        order.model_copy(update={"resume": saved.folder}), folder, pause
                    )
                except InvalidInput as error:
                    if error.code not in REFUSED:
                        raise
                    log.warning("checkpoint refused", step=saved.step, code=error.code)
                    await self._journal.warn(error.message)
        if tried or self._journal.record.checkpoint is not None:
            await self._journal.stage("starting from the beginning: no checkpoint can be used")
        return None if pause.is_set() else await self._follow(order, folder, pause)

    async def _follow(self, order: Order, folder: Path, pause: asyncio.Event) -> Trained | None:
        """Run the child to its end, pass on what it tells, and store what it saves."""
        async with (
            Newest("checkpoint", self._store, self._journal, folder / "storing") as storing,
            Newest("snapshot", self._show, self._journal, folder / "showing") as showing,
            self._start(order, folder) as process,
            _pausable(process, pause),
        ):
            async for report in process.reports():
                self._check()
                match report:
                    case Saved():
                        await storing.give(report)
                    case Snapshot():
                        await showing.give(report)
                    case Failed(code=code, message=message, param=param):
                        raise InvalidInput(message, code=code, param=param)
                    case Paused():
                        await storing.settled()
                        self._check()
                        return None
                    case Trained():
                        await showing.settled(SHOWN_WITHIN)
                        return report
                    case _:
                        await self._pass_on(report)
        raise InternalError("The training process ended without a result.")

    async def _store(self, saved: Saved) -> None:
        await self._checkpoints.store(saved)
        self._refused = await self._refusal()

    def _check(self) -> None:
        if self._refused is not None:
            raise self._refused

    async def _pass_on(self, report: Report) -> None:
        """Tell those who wait."""
        match report:
            case Stage(text=text):
                await self._journal.stage(text)
            case Planned(estimate=estimate):
                await self._journal.planned(estimate)
            case Step(progress=progress):
                self._metrics.stepped(self._journal.record.job.job, progress)
                await self._journal.progress(progress)
            case Benchmarked(benchmark=benchmark):
                await self._journal.benchmarked(benchmark)
            case Notice(text=text, code=code):
                if code == "out_of_memory":
                    self._metrics.ran_out_of_memory()
                await self._journal.warn(text)
            case _:
                log.warning("report not passed on", kind=report.kind)


@asynccontextmanager
async def _pausable(process: Child[Report], pause: asyncio.Event) -> AsyncGenerator[None]:
    """Ask the child to pause as soon as the event is set."""

    async def ask() -> None:
        await pause.wait()
        await process.pause()

    asking = asyncio.create_task(ask(), name="pause")
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.wait({asking})
