"""What speech answers on the bus. Sound is read from S3 and written there; the bus carries references."""

from dataclasses import dataclass

from chorus.common.bus.replies import ReplyStream
from chorus.common.contracts.speech import (
    ListVoices,
    Partial,
    Speak,
    Spoken,
    Transcribe,
    Transcript,
    Voices,
)
from chorus.common.contracts.storage import FILES
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.ports import Listener, OnHeard, Speaker, unheeded
from chorus.speech.voice.recordings import Recordings
from chorus.speech.voice.text import spoken_form
from chorus.speech.voice.turns import Turns

OF_A_GUILD = 4  # requests of one guild before each engine
PATIENCE = 45.0  # seconds until somebody in line is told to come back


@dataclass(frozen=True)
class Limits:
    """What is taken on."""

    language: str
    """Spoken when none is asked for."""
    text: int
    """Characters."""
    processes: int = 1
    """Recordings that are heard at once."""


class SpeechHandlers:
    """`speech.v1.*`."""

    def __init__(
        self,
        store: ObjectStore,
        speaker: Speaker,
        recordings: Recordings,
        listener: Listener,
        limits: Limits,
        metrics: SpeechMetrics,
    ) -> None:
        self._store = store
        self._speaker = speaker
        self._recordings = recordings
        self._listener = listener
        self._limits = limits
        self._metrics = metrics
        self._hearing = Turns(of_a_guild=OF_A_GUILD, patience=PATIENCE, engines=limits.processes)

    async def speak(self, asked: Speak) -> Spoken:
        """Say a text aloud, and store what was said under its own hash."""
        text = spoken_form(asked.text, most=self._limits.text)
        made = await self._speaker.speak(asked.guild, text, asked.language, asked.voice)
        audio = await self._store.put_by_hash(FILES, asked.guild, made.data)
        self._metrics.spoke(made.seconds)
        return Spoken(audio=audio, seconds=made.seconds, voice=made.voice)

    async def list_voices(self, _: ListVoices) -> Voices:
        """Who can speak, and which languages."""
        return Voices(language=self._limits.language, voices=[*self._speaker.voices])

    async def write_down(self, asked: Transcribe, replies: ReplyStream) -> None:
        """Write down a recording, and tell what is heard so far where that is asked for."""

        async def tell(text: str, engine: str) -> None:
            if asked.partial:
                await replies.send(Partial(text=text, engine=engine))

        await replies.send(await self.transcribe(asked, tell))

    async def transcribe(self, asked: Transcribe, on_heard: OnHeard = unheeded) -> Transcript:
        """Write down a recording of the guild's own, or one that Discord keeps."""
        self._recordings.check(asked)
        async with self._hearing.turn(asked.guild):
            sound = await self._recordings.sound(asked)
            heard = await self._listener.hear(sound, asked.language, on_heard)
        self._metrics.heard(heard.seconds)
        if not heard.text:
            raise InvalidInput(
                f"No words could be made out in {asked.filename}.", code="nothing_heard", param="audio"
            )
        return Transcript(
            text=heard.text, seconds=heard.seconds, language=heard.language, engine=heard.engine
        )
