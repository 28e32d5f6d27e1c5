"""One engine that hears, in as many processes as are at work at once: others than the first start late."""

from asyncio import LifoQueue
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Self

from chorus.speech.backends.process import EngineProcess
from chorus.speech.voice.ears import EarOptions, Engine
from chorus.speech.voice.ports import Heard
from chorus.speech.voice.sound import Sound
from chorus.speech.voice.tasks import HearTask, Partly

SoFar = Callable[[str], Awaitable[None]]


class ListenerProcess(EngineProcess):
    """An engine that hears, in a process of its own."""

    kind = "hear"

    def __init__(self, options: EarOptions) -> None:
        super().__init__(within=options.within, options=options.model_dump_json())
        self.engine = options.engine

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        """Write down what is said in it, in one of the languages that it knows."""

        async def tell(part: Partly) -> None:
            await so_far(part.text)

        done, _ = await self.work(HearTask(rate=sound.rate, language=language), sound.samples, tell)
        return Heard(done.text, done.seconds, done.language, self.engine)


class ListenerPool:
    """Processes with one engine, while its context is entered. The first is there from the beginning."""

    def __init__(self, options: EarOptions, processes: int) -> None:
        self.engine: Engine = options.engine
        self.languages: list[str] = []
        self._first, *self._others = [ListenerProcess(options) for _ in range(processes)]
        self._idle = LifoQueue[ListenerProcess]()  # what was used last is warm
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for process in self._others:
            self._stack.push_async_exit(process)  # it starts with its first recording
            self._idle.put_nowait(process)
        await self._stack.enter_async_context(self._first)
        self._idle.put_nowait(self._first)
        self.languages = self._first.languages
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        """Have the next free process write it down; waits where there is none."""
        process = await self._idle.get()
        try:
            return await process.hear(sound, language, so_far)
        finally:
            self._idle.put_nowait(process)
