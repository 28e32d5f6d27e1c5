"""Saying again what was said last, while there is nothing new: who waits takes silence for death."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

SILENT_AT_MOST = 20.0  # seconds; the gateway gives up after 120

Word = TypeVar("Word")


@asynccontextmanager
async def beating(
    tell: Callable[[Word], Awaitable[None]], waiting: Word, every: float = SILENT_AT_MOST
) -> AsyncGenerator[Callable[[Word], Awaitable[None]]]:
    """`tell`, repeated when it falls silent: the work may wait for its turn, or for a large file.

    `waiting` is what is said before anything else is.
    """
    last = waiting
    said = asyncio.Event()
    one_at_a_time = asyncio.Lock()

    async def told(step: Word) -> None:
        nonlocal last
        last = step
        said.set()
        async with one_at_a_time:
            await tell(step)

    async def beat() -> None:
        while True:
            said.clear()
            try:
                async with asyncio.timeout(every):
                    await said.wait()
            except TimeoutError:
                async with one_at_a_time:
                    await tell(last)

    task = asyncio.create_task(beat(), name="pulse")
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])
