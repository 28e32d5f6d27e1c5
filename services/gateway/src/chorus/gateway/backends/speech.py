"""Speech over the bus: sound lies in S3, under the guild's own id, and is named by reference."""

from pathlib import PurePosixPath
from uuid import uuid4

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import (
    STT,
    TTS,
    VOICES,
    ListVoices,
    Speak,
    Spoken,
    Transcribe,
    Transcript,
    Voices,
)
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, TooLarge
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import Heard, Upload

WITHIN = 120.0  # seconds; waiting in line included
HEARD_WITHIN = 300.0  # ten minutes of speech take two hundred seconds


def kept_recordings(guild: str, person: str) -> str:
    """Where recordings of a person lie that the guild keeps."""
    return f"{guild}/recordings/{person}/"


class BusSpeech:
    """`ports.Speech` over `speech.v1.*`."""

    def __init__(self, connection: Connection, store: ObjectStore, max_upload: int) -> None:
        self._connection = connection
        self._store = store
        self._max_upload = max_upload

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None = None
    ) -> tuple[bytes, float]:
        """Have it spoken, and fetch the sound."""
        question = Speak(guild=guild, text=text, language=language and language[:32], voice=voice)
        spoken = await ask(self._connection, TTS, question, Spoken, within=WITHIN)
        return await self._store.get(spoken.audio), spoken.seconds

    async def voices(self) -> list[str]:
        """All that can speak."""
        listed = await ask(self._connection, VOICES, ListVoices(), Voices)
        return [voice.name for voice in listed.voices]

    async def transcribe(self, guild: str, recording: Upload | str, keep_for: str | None = None) -> Heard:
        """Have it heard where Discord keeps it; or upload it, and delete it once it is heard."""
        if isinstance(recording, str):
            name = PurePosixPath(recording.partition("?")[0]).name
            return await self._heard(Transcribe(guild=guild, url=recording, filename=name[:255]))
        self._check(recording)
        place = kept_recordings(guild, keep_for) if keep_for else f"{guild}/heard-once/"
        data = recording.data if isinstance(recording.data, bytes) else recording.data.read_bytes()
        audio = await self._store.put(FILES, place + uuid4().hex, data)
        try:
            return await self._heard(Transcribe(guild=guild, audio=audio, filename=recording.name[:255]))
        finally:
            if not keep_for:
                await self._store.delete(FILES, [audio.key])

    async def _heard(self, question: Transcribe) -> Heard:
        heard = await ask(self._connection, STT, question, Transcript, within=HEARD_WITHIN)
        return Heard(heard.text, heard.engine, heard.language)

    def _check(self, upload: Upload) -> None:
        """Raises `InvalidInput`, `TooLarge`."""
        if not upload.size:
            raise InvalidInput(f"{upload.name} is empty: there is nothing to hear.", code="empty_file")
        if upload.size > self._max_upload:
            raise TooLarge(
                f"{upload.name} has {upload.size / MIB:.1f} MiB; at most {self._max_upload // MIB} MiB "
                "are heard. Cut it.",
                param="file",
            )
