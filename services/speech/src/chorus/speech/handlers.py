"""What speech answers on the bus. Sound is read from S3 and written there; the bus carries references."""

from dataclasses import dataclass

from chorus.common.contracts.speech import Speak, Spoken, Transcribe, Transcript
from chorus.common.contracts.storage import FILES
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.checks import check_recording, known_language
from chorus.speech.voice.ports import Listener, Speaker
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
    audio_bytes: int


class SpeechHandlers:
    """`speech.v1.*`."""

    def __init__(
        self, store: ObjectStore, speaker: Speaker, listener: Listener, limits: Limits, metrics: SpeechMetrics
    ) -> None:
        self._store = store
        self._speaker = speaker
        self._listener = listener
        self._limits = limits
        self._metrics = metrics
        self._speaking = Turns(of_a_guild=OF_A_GUILD, patience=PATIENCE)
        self._hearing = Turns(of_a_guild=OF_A_GUILD, patience=PATIENCE)

    async def speak(self, asked: Speak) -> Spoken:
        """Say a text aloud, and store what was said under its own hash."""
        text = spoken_form(asked.text, most=self._limits.text)
        language = known_language(asked.language or self._limits.language, self._speaker.languages)
        async with self._speaking.turn(asked.guild):
            made = await self._speaker.speak(text, language)
        audio = await self._store.put_by_hash(FILES, asked.guild, made.data)
        self._metrics.spoke(made.seconds)
        return Spoken(audio=audio, seconds=made.seconds, voice=f"{self._speaker.name}/{language}")

    async def transcribe(self, asked: Transcribe) -> Transcript:
        """Write down a recording of the guild's own."""
        check_recording(asked.audio, asked.guild, most=self._limits.audio_bytes)
        async with self._hearing.turn(asked.guild):
            data = await self._store.get(asked.audio)
            heard = await self._listener.hear(data, asked.filename)
        self._metrics.heard(heard.seconds)
        if not heard.text:
            raise InvalidInput(
                f"No words could be made out in {asked.filename}.", code="nothing_heard", param="audio"
            )
        return Transcript(text=heard.text, seconds=heard.seconds, language=self._listener.language)
