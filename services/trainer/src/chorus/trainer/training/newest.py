"""Work beside the training: on the newest folder that the child has finished, one at a time.

Uploading may take longer than the child takes to make the next one. Then the newest one counts, and those
in between are dropped; and whatever goes wrong is told, and the training goes on.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Generic, Self, TypeVar

import structlog
from pydantic import ValidationError

from chorus.common.bus.claims import ClaimLost
from chorus.common.errors import ChorusError
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Saved, Snapshot

log = structlog.get_logger()

Told = TypeVar("Told", Saved, Snapshot)


class Newest(Generic[Told]):
    """Does `work` with what it is given while its context is entered; each folder is deleted afterwards."""

    def __init__(
        self, what: str, work: Callable[[Told], Awaitable[None]], journal: Journal, into: Path
    ) -> None:
        self._what = what
        self._work = work
        self._journal = journal
        self._into = into
        self._next: Told | None = None
        self._task: asyncio.Task[None] | None = None
        self._given = 0

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._into.mkdir, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def give(self, told: Told) -> None:
        """Work on this next, in place of what still waits.

        The folder is taken at once, by renaming it: the child keeps only a few, and deletes the others.
        """
        self._given += 1
        folder = self._into / f"{self._given}"
        try:
            await asyncio.to_thread(Path(told.folder).rename, folder)
        except FileNotFoundError:
            log.info("deleted for newer ones", what=self._what, step=told.step)
            return
        waiting, self._next = self._next, told.model_copy(update={"folder": str(folder)})
        if waiting is not None:
            await _delete(waiting.folder)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work_off(), name=self._what)

    async def settled(self, within: float | None = None) -> None:
        """Wait until nothing is left to do, or for so many seconds."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=within)

    async def _work_off(self) -> None:
        while (told := self._next) is not None:
            self._next = None
            try:
                await self._work(told)
            except ClaimLost:
                return  # who watches the entry sees it as well, and ends the training
            except (ChorusError, OSError, ValidationError) as error:
                log.warning(
                    "work beside the training failed", what=self._what, step=told.step, error=str(error)
                )
                await self._journal.warn(
                    f"The {self._what} of step {told.step} could not be stored; the training goes on."
                )
            await _delete(told.folder)


async def _delete(folder: str) -> None:
    await asyncio.to_thread(shutil.rmtree, folder)
