"""One engine that speaks, in as many processes as are at work at once: others than the first start late."""

import asyncio
from asyncio import LifoQueue
from contextlib import AsyncExitStack
from typing import Self

from chorus.common.contracts.speech import Voice
from chorus.common.errors import TimedOut
from chorus.speech.backends.process import EngineProcess
from chorus.speech.voice.casting import Role
from chorus.speech.voice.mouths import Engine, MouthOptions
from chorus.speech.voice.ports import Recording
from chorus.speech.voice.tasks import SpeakTask


class SpeakerProcess(EngineProcess):
    """An engine that speaks, in a process of its own."""

    kind = "speak"

    def __init__(self, options: MouthOptions, *, max_seconds: float, whole: float) -> None:
        super().__init__(within=options.within, options=options.model_dump_json())
        self._max_seconds = max_seconds
        self._whole = whole

    async def speak(self, text: str, role: Role) -> Recording:
        """Say it, with one of its voices. Raises what the engine says is wrong, and `TimedOut`."""
        task = SpeakTask(
            text=text, voice=role.voice.name, language=role.language, max_seconds=self._max_seconds
        )
        try:
            async with asyncio.timeout(self._whole):
                done, data = await self.work(task)
        except TimeoutError:
            raise TimedOut(
                f"This takes longer than {self._whole:.0f} s. Try something shorter.", code="speech_too_slow"
            ) from None
        return Recording(data, done.seconds, role.label)


class SpeakerPool:
    """Processes with one engine, while its context is entered. The first is there from the beginning.

    A text may last `max_seconds`, and take `whole` seconds to be spoken.
    """

    def __init__(self, options: MouthOptions, processes: int, *, max_seconds: float, whole: float) -> None:
        self.engine: Engine = options.engine
        self.voices: list[Voice] = []
        self._first, *self._others = [
            SpeakerProcess(options, max_seconds=max_seconds, whole=whole) for _ in range(processes)
        ]
        self._idle = LifoQueue[SpeakerProcess]()  # what was used last is warm
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for process in self._others:
            self._stack.push_async_exit(process)  # it starts with its first text
            self._idle.put_nowait(process)
        await self._stack.enter_async_context(self._first)
        self._idle.put_nowait(self._first)
        self.voices = [
            Voice(name=name, engine=self.engine, languages=languages)
            for name, languages in self._first.voices.items()
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def speak(self, text: str, role: Role) -> Recording:
        """Have the next free process say it; waits where there is none."""
        process = await self._idle.get()
        try:
            return await process.speak(text, role)
        finally:
            self._idle.put_nowait(process)
