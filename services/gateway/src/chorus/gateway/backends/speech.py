"""Speech over the bus: sound lies in S3, under the guild's own id, and is named by reference.

It lies there once: whoever needs it last deletes it, and the trainer's keeper what a kill left behind. Only
what is kept of a person stays, under their id: a copy, made when all of it was heard.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import PurePosixPath
from uuid import uuid4

import structlog

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import (
    AUTO,
    CANCEL,
    HEARD,
    SAID,
    STT,
    TTS,
    VOICES,
    ListVoices,
    Speak,
    Spoken,
    SpokenPart,
    Transcribe,
    Transcript,
    Voices,
    recordings_of,
)
from chorus.common.contracts.storage import FILES, ObjectRef, once
from chorus.common.contracts.wire import MIB, now
from chorus.common.errors import ChorusError, InvalidInput, TooLarge
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import Heard, Upload

WITHIN = 120.0  # seconds until it is spoken, waiting in line included; of a text in parts, each
FIRST_HEARD_WITHIN = 180.0  # seconds until the first words: a line of people, an engine that is away
NEXT_HEARD_WITHIN = 120.0  # seconds between words; all of it may take as long as it does
MOST_KEPT = 100  # recordings of one person in a guild
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")

log = structlog.get_logger()


class BusSpeech:
    """`ports.Speech` over `speech.v1.*`."""

    def __init__(self, connection: Connection, store: ObjectStore, max_upload: int) -> None:
        self._connection = connection
        self._store = store
        self._max_upload = max_upload

    async def speak(
        self, guild: str, text: str, language: str | None, voice: str | None = None, *, cut: bool = False
    ) -> tuple[bytes, float]:
        """Have it spoken, and fetch the sound."""
        question = _asked(guild, text, language, voice, cut=cut)
        spoken = await ask(self._connection, TTS, question, Spoken, within=WITHIN, cancel=CANCEL)
        return await self._fetched(spoken), spoken.seconds

    async def speaking(
        self, guild: str, text: str, language: str | None, voice: str | None = None
    ) -> AsyncGenerator[bytes]:
        """Have it spoken sentence by sentence; what was said before comes in one."""
        question = _asked(guild, text, language, voice, cut=True, partial=True)
        parts = 0
        replies = ask_stream(
            self._connection,
            TTS,
            question,
            SAID,
            cancel=CANCEL,
            first_within=WITHIN,
            next_within=WITHIN,
        )
        async with aclosing(replies):
            async for said in replies:
                if isinstance(said, SpokenPart):
                    parts += 1
                    yield said.sound
                elif parts:
                    await self._delete(said.audio.key)
                else:
                    yield await self._fetched(said)

    async def voices(self) -> list[str]:
        """All that can speak."""
        listed = await ask(self._connection, VOICES, ListVoices(), Voices)
        return [voice.name for voice in listed.voices]

    async def hear(
        self, guild: str, recording: Upload | str, language: str | None = None
    ) -> AsyncGenerator[Heard]:
        """Have it heard where Discord keeps it; or upload it, and delete it once it is heard."""
        question = await self._handed_over(guild, recording, language or AUTO)
        replies = ask_stream(
            self._connection,
            STT,
            question,
            HEARD,
            cancel=CANCEL,
            first_within=FIRST_HEARD_WITHIN,
            next_within=NEXT_HEARD_WITHIN,
        )
        try:
            async with aclosing(replies):
                async for heard in replies:
                    language = heard.language if isinstance(heard, Transcript) else ""
                    yield Heard(heard.text, heard.engine, language)
        finally:
            if question.audio:
                await self._delete(question.audio.key)

    async def keep(self, guild: str, person: str, recording: Upload) -> None:
        """Store it under their id, and delete the oldest of theirs that are too many."""
        folder = recordings_of(guild, person)
        suffix = PurePosixPath(recording.name).suffix.lower()
        name = f"{now():%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}{suffix if SUFFIX.fullmatch(suffix) else ''}"
        await self._store.put(FILES, folder + name, await recording.read())
        keys = sorted(stored.key for stored in await self._store.list(FILES, folder))
        await self._store.delete(FILES, keys[:-MOST_KEPT])

    async def _handed_over(self, guild: str, recording: Upload | str, language: str) -> Transcribe:
        """The question what is said in it; a file is uploaded for that. Raises `InvalidInput`, `TooLarge`."""
        if isinstance(recording, str):
            name = PurePosixPath(recording.partition("?")[0]).name
            return _heard_of(guild, name, language, url=recording)
        self._check(recording)
        audio = await self._store.put(FILES, once(guild), await recording.read())
        return _heard_of(guild, recording.name, language, audio=audio)

    async def _fetched(self, spoken: Spoken) -> bytes:
        """The sound, which nobody needs after us."""
        try:
            return await self._store.get(spoken.audio)
        finally:
            await self._delete(spoken.audio.key)

    async def _delete(self, key: str) -> None:
        """What was needed once; where that fails, the keeper does it later."""
        try:
            await self._store.delete(FILES, [key])
        except ChorusError as error:
            log.warning("sound was left for the keeper", code=error.code)

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


def _asked(
    guild: str, text: str, language: str | None, voice: str | None, *, cut: bool, partial: bool = False
) -> Speak:
    return Speak(
        guild=guild, text=text, language=language and language[:32], voice=voice, cut=cut, partial=partial
    )


def _heard_of(
    guild: str, name: str, language: str, *, url: str | None = None, audio: ObjectRef | None = None
) -> Transcribe:
    return Transcribe(
        guild=guild, url=url, audio=audio, filename=name[:255], language=language[:32], partial=True
    )
