"""One engine that hears, in processes."""

from collections.abc import Awaitable, Callable

from chorus.speech.backends.pool import Pool
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

        async def tell(part: Partly, _: bytes) -> None:
            await so_far(part.text)

        done, _ = await self.work(HearTask(rate=sound.rate, language=language), sound.samples, tell)
        return Heard(done.text, done.seconds, done.language, self.engine)


class ListenerPool(Pool[ListenerProcess]):
    """Processes with one engine that hears."""

    def __init__(self, options: EarOptions, processes: int) -> None:
        super().__init__([ListenerProcess(options) for _ in range(processes)])
        self.engine: Engine = options.engine

    @property
    def languages(self) -> list[str]:
        """Those that it knows."""
        return self._first.languages

    async def hear(self, sound: Sound, language: str, so_far: SoFar) -> Heard:
        """Have the next free process write it down."""
        async with self.one() as process:
            return await process.hear(sound, language, so_far)
