"""Replies in hand, so that a stop can wait for them: for answers, not for trainings to end."""

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog

from chorus.common.errors import ChorusError

T = TypeVar("T")

log = structlog.get_logger()


class Work:
    """The tasks that are at it. Use it inside of them."""

    def __init__(self) -> None:
        self._quick: set[asyncio.Task[Any]] = set()
        self._lasting: set[asyncio.Task[Any]] = set()
        self.stopping = False
        """Nothing new is to be begun."""

    @contextmanager
    def in_hand(self, *, lasting: bool) -> Generator[None]:
        """The current task works meanwhile; `lasting` work is left at once when a stop comes."""
        task = asyncio.current_task()
        assert task is not None
        tasks = self._lasting if lasting else self._quick
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)

    async def stop(self, grace: float) -> None:
        """Leave what lasts, wait up to `grace` seconds for the rest, then leave that too."""
        self.stopping = True
        watching = self._lasting.copy()
        _cancel(watching)
        tasks = watching | self._quick
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            _cancel(late)


async def tried(note: Awaitable[T]) -> T | None:
    """What comes of a note of what is in hand. Where nothing is kept just now, we work all the same."""
    try:
        return await note
    except ChorusError as error:
        log.warning("what is in hand cannot be noted", reason=error.message, code=error.code)
        return None


def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
