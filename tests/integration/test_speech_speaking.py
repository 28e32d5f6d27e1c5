"""Speaking with several engines: who speaks, who stands in, and what is kept."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

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
from chorus.common.errors import ChorusError
from chorus.common.local.process import Process
from tests.support.google_speaking import SECONDS, GoogleSpeaking, google_speaking
from tests.support.servers import Servers
from tests.support.spoken import SENTENCES, word_error_rate

FALL_BACK_WITHIN = 3.0  # seconds


@asynccontextmanager
async def speaking(servers: Servers, folder: Path, **chosen: str) -> AsyncGenerator[Connection]:
    """The service with settings of one's own, and the gateway's connection to it."""
    program = servers.stack.service("speech")
    given = {f"CHORUS_{name}": value for name, value in {"CACHE": str(folder), **chosen}.items()}
    process = Process(replace(program, environment={**program.environment, **given}), folder / "speech.log")
    await process.start()
    try:
        await process.until_ready()
        async with servers.connected("gateway") as connected:
            yield connected
    finally:
        await process.stop(20.0)


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleSpeaking]:
    with google_speaking() as server:
        yield server


@pytest.fixture(scope="module")
async def connection(
    servers: Servers, google: GoogleSpeaking, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Connection]:
    """To a service that asks Google first."""
    chosen = {"TTS_ENGINES": "gtts,espeak", "GTTS_ENDPOINT": google.url}
    async with speaking(servers, tmp_path_factory.mktemp("speaking"), **chosen) as connected:
        yield connected


async def say(
    connection: Connection, text: str, language: str | None = None, voice: str | None = None
) -> Spoken:
    question = Speak(text=text, language=language, voice=voice)
    return await ask(connection, TTS, question, Spoken, within=20)


async def test_voices_and_their_languages_are_listed(connection: Connection) -> None:
    listed = await ask(connection, VOICES, ListVoices(), Voices)
    assert [voice.name for voice in listed.voices] == ["gtts", "espeak"]
    assert listed.language == "en-us"
    assert all({"ru", "de"} <= set(voice.languages) for voice in listed.voices)
    assert len(listed.voices[1].languages) > 100


async def test_google_speaks_where_it_is_chosen(connection: Connection, google: GoogleSpeaking) -> None:
    spoken = await say(connection, "Привет. Как дела?", language="ru-RU")
    assert (spoken.voice, spoken.seconds) == ("gtts/ru", pytest.approx(2 * SECONDS, abs=0.2))
    assert google.asked[-2:] == [("Привет.", "ru"), ("Как дела?", "ru")]


async def test_a_phrase_is_made_once(connection: Connection, google: GoogleSpeaking) -> None:
    first = await say(connection, "Once and for all")
    asked = len(google.asked)
    assert await say(connection, "Once and for all") == first
    assert len(google.asked) == asked


async def test_a_wished_voice_speaks(connection: Connection) -> None:
    assert (await say(connection, "Guten Tag", language="de-AT", voice="espeak")).voice == "espeak/de"
    with pytest.raises(ChorusError) as error:
        await say(connection, "Guten Tag", voice="siri")
    assert error.value.code == "unknown_voice"


async def test_where_google_fails_another_one_speaks_soon_and_is_named(
    connection: Connection, google: GoogleSpeaking
) -> None:
    """The last test of this service: Google is left out afterwards."""
    for number, says in enumerate(("silence", "429")):
        google.says = [says]
        began = time.monotonic()
        spoken = await say(connection, f"Nobody there, {number}")
        assert spoken.voice == "espeak/en-us"
        assert time.monotonic() - began < FALL_BACK_WITHIN
    google.says = ["sound"]
    asked = len(google.asked)
    assert (await say(connection, "It rests for a while")).voice == "espeak/en-us"
    assert len(google.asked) == asked


@pytest.mark.system
async def test_with_flites_voice_what_is_said_is_heard(servers: Servers, tmp_path: Path) -> None:
    """Offline engines alone; needs the Debian package flite."""
    chosen = {"TTS_ENGINES": "flite", "STT_ENGINES": "sphinx"}
    pairs: list[tuple[str, str]] = []
    async with speaking(servers, tmp_path, **chosen) as connection:
        for sentence in SENTENCES:
            spoken = await say(connection, sentence)
            assert spoken.voice == "flite/rms/en-us"
            question = Transcribe(audio=spoken.audio, filename="x.ogg")
            pairs.append((sentence, (await ask(connection, STT, question, Transcript, within=60)).text))
    assert word_error_rate(pairs) <= 0.15, pairs


async def test_eight_at_once_take_no_more_than_three_times_as_long_as_two(
    connection: Connection,
) -> None:
    async def all_of(count: int) -> float:
        began = time.monotonic()
        texts = [f"{count}, {number}, {os.urandom(2).hex()}" for number in range(count)]
        guilds = [str(1000 + number) for number in range(count)]
        asked = [
            ask(connection, TTS, Speak(guild=guild, text=f"{text} " * 9, voice="espeak"), Spoken, within=60)
            for guild, text in zip(guilds, texts, strict=True)
        ]
        await asyncio.gather(*asked)
        return time.monotonic() - began

    await all_of(4)  # so that both processes are there
    assert await all_of(8) <= 3 * await all_of(2)
