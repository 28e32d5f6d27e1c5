"""One engine that speaks, in processes."""

from chorus.common.contracts.speech import Voice
from chorus.speech.backends.pool import Pool
from chorus.speech.backends.process import EngineProcess
from chorus.speech.voice.casting import Role
from chorus.speech.voice.mouths import Engine, MouthOptions
from chorus.speech.voice.ports import Clip, OnSpoken
from chorus.speech.voice.tasks import Partly, SpeakTask


class SpeakerProcess(EngineProcess):
    """An engine that speaks, in a process of its own."""

    kind = "speak"

    def __init__(self, options: MouthOptions, *, max_seconds: float, whole: float) -> None:
        super().__init__(within=options.within, options=options.model_dump_json(), whole=whole)
        self._max_seconds = max_seconds

    async def speak(
        self, text: str, role: Role, on_spoken: OnSpoken | None = None, *, cut: bool = False
    ) -> Clip:
        """Say it, with one of its voices. Raises what the engine says is wrong, and `TimedOut`."""
        task = SpeakTask(
            text=text,
            voice=role.voice.name,
            language=role.language,
            max_seconds=self._max_seconds,
            partly=on_spoken is not None,
            cut=cut,
        )

        async def tell(part: Partly, sound: bytes) -> None:
            if on_spoken and sound:
                await on_spoken(part.sentence, Clip(sound, part.seconds, role.label))

        done, data = await self.work(task, on_part=tell)
        return Clip(data, done.seconds, role.label, done.whole)


class SpeakerPool(Pool[SpeakerProcess]):
    """Processes with one engine that speaks.

    A text may last `max_seconds`, and take `whole` seconds to be spoken.
    """

    def __init__(self, options: MouthOptions, processes: int, *, max_seconds: float, whole: float) -> None:
        super().__init__(
            [SpeakerProcess(options, max_seconds=max_seconds, whole=whole) for _ in range(processes)]
        )
        self.engine: Engine = options.engine

    @property
    def voices(self) -> list[Voice]:
        """All that it can speak with."""
        return [
            Voice(name=name, engine=self.engine, languages=languages)
            for name, languages in self._first.voices.items()
        ]

    async def speak(
        self, text: str, role: Role, on_spoken: OnSpoken | None = None, *, cut: bool = False
    ) -> Clip:
        """Have the next free process say it."""
        async with self.one() as process:
            return await process.speak(text, role, on_spoken, cut=cut)
