"""One engine in as many processes as are at work at once: others than the first start late."""

from asyncio import LifoQueue
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, Self, TypeVar

from chorus.speech.backends.process import EngineProcess

P = TypeVar("P", bound=EngineProcess)


class Pool(Generic[P]):
    """Processes with one engine, while its context is entered. The first is there from the beginning."""

    def __init__(self, processes: Sequence[P]) -> None:
        self._first, *self._others = processes
        self._idle = LifoQueue[P]()  # what was used last is warm
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for process in self._others:
            self._stack.push_async_exit(process)  # it starts with its first task
            self._idle.put_nowait(process)
        await self._stack.enter_async_context(self._first)
        self._idle.put_nowait(self._first)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[P]:
        """The next free process; waits where there is none."""
        process = await self._idle.get()
        try:
            yield process
        finally:
            self._idle.put_nowait(process)
