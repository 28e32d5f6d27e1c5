"""What speech answers on the bus. Sound is read from S3 and written there; the bus carries references."""

from dataclasses import dataclass
from itertools import count

from chorus.common.bus.replies import ReplyStream
from chorus.common.contracts.speech import (
    ListVoices,
    Partial,
    Speak,
    Spoken,
    SpokenPart,
    Transcribe,
    Transcript,
    Voices,
)
from chorus.common.contracts.storage import FILES, once
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.ports import Clip, Listener, OnHeard, OnSpoken, Speaker, unheeded
from chorus.speech.voice.recordings import Recordings
from chorus.speech.voice.text import spoken_form
from chorus.speech.voice.turns import Turns

OF_A_GUILD = 8  # texts of one guild in line, and recordings
PATIENCE = 45.0  # seconds until somebody in line is told to come back


@dataclass(frozen=True)
class Limits:
    """What is taken on."""

    text: int
    """Characters."""
    spoken_at_once: int = 1
    """Texts."""
    heard_at_once: int = 1
    """Recordings."""


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
        self._most_text = limits.text
        self._metrics = metrics
        self._speaking, self._hearing = (
            Turns(of_a_guild=OF_A_GUILD, patience=PATIENCE, engines=at_once)
            for at_once in (limits.spoken_at_once, limits.heard_at_once)
        )

    async def say(self, asked: Speak, replies: ReplyStream) -> None:
        """Say a text aloud, and tell each sentence as soon as it is spoken where that is asked for."""
        numbers = count()

        async def tell(_: int, part: Clip) -> None:
            i = next(numbers)
            await replies.send(SpokenPart(i=i, sound=part.data, seconds=part.seconds, voice=part.voice))

        await replies.send(await self.speak(asked, tell if asked.partial else None))

    async def speak(self, asked: Speak, on_spoken: OnSpoken | None = None) -> Spoken:
        """Say a text aloud, and store what was said, to be fetched once. What is kept comes in one."""
        text = spoken_form(asked.text, most=self._most_text, cut=asked.cut)
        made = self._speaker.said_before(text, asked.language, asked.voice)
        if made is None:
            async with self._speaking.turn(asked.guild):
                made = await self._speaker.speak(text, asked.language, asked.voice, on_spoken, cut=asked.cut)
        audio = await self._store.put(FILES, once(asked.guild), made.data)
        self._metrics.spoke(made.voice.partition("/")[0], made.seconds)
        return Spoken(audio=audio, seconds=made.seconds, voice=made.voice)

    async def list_voices(self, _: ListVoices) -> Voices:
        """Who can speak, and which languages."""
        return Voices(language=self._speaker.language, voices=[*self._speaker.voices])

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
        self._metrics.heard(heard.engine, heard.seconds)
        if not heard.text:
            raise InvalidInput(
                f"No words could be made out in {asked.filename}.", code="nothing_heard", param="audio"
            )
        return Transcript(
            text=heard.text, seconds=heard.seconds, language=heard.language, engine=heard.engine
        )
