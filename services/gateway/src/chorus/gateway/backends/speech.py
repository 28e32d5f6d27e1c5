"""Speech over the bus: sound lies in S3, under the guild's own id, and is named by reference."""

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import STT, TTS, Speak, Spoken, Transcribe, Transcript
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, TooLarge
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import Upload

WITHIN = 120.0  # seconds; waiting in line included


class BusSpeech:
    """`ports.Speech` over `speech.v1.*`."""

    def __init__(self, connection: Connection, store: ObjectStore, max_upload: int) -> None:
        self._connection = connection
        self._store = store
        self._max_upload = max_upload

    async def speak(self, guild: str, text: str, language: str | None) -> tuple[bytes, float]:
        """Have it spoken, and fetch the sound."""
        question = Speak(guild=guild, text=text, language=language[:32] if language else None)
        spoken = await ask(self._connection, TTS, question, Spoken, within=WITHIN)
        return await self._store.get(spoken.audio), spoken.seconds

    async def transcribe(self, guild: str, upload: Upload) -> str:
        """Upload it, then have it heard."""
        if not upload.size:
            raise InvalidInput(f"{upload.name} is empty: there is nothing to hear.", code="empty_file")
        if upload.size > self._max_upload:
            raise TooLarge(
                f"{upload.name} has {upload.size / MIB:.1f} MiB; at most {self._max_upload // MIB} MiB "
                "are heard. Cut it.",
                param="file",
            )
        audio = await self._store.put_by_hash(FILES, guild, upload.data)
        question = Transcribe(guild=guild, audio=audio, filename=upload.name[:255])
        return (await ask(self._connection, STT, question, Transcript, within=WITHIN)).text
