"""Speaking with several engines: who speaks, who stands in, and what is kept."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import (
    TTS,
    VOICES,
    ListVoices,
    Speak,
    Spoken,
    Voices,
)
from tests.support.google_speaking import SECONDS, GoogleSpeaking, google_speaking
from tests.support.servers import Servers
from tests.support.speaking import a_speech


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleSpeaking]:
    with google_speaking() as server:
        yield server


@pytest.fixture(scope="module")
async def connection(
    servers: Servers, google: GoogleSpeaking, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Connection]:
    """To a service that asks Google first."""
    folder = tmp_path_factory.mktemp("speaking")
    chosen = {"CACHE": str(folder), "TTS_ENGINES": "gtts,espeak", "GTTS_ENDPOINT": google.url}
    settings = {f"CHORUS_{name}": value for name, value in chosen.items()}
    async with a_speech(servers, folder, **settings), servers.connected("gateway") as connected:
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
    again = await say(connection, "Once and for all")
    assert (again.audio.sha256, again.voice) == (first.audio.sha256, first.voice)
    assert len(google.asked) == asked


async def test_a_wished_voice_speaks(connection: Connection) -> None:
    assert (await say(connection, "Guten Tag", language="de-AT", voice="espeak")).voice == "espeak/de"
    usual = (await say(connection, "Good day")).voice
    assert (await say(connection, "Good evening", voice="siri")).voice == usual, "who is gone silences nobody"


async def test_where_google_fails_another_one_speaks_and_is_named(
    connection: Connection, google: GoogleSpeaking
) -> None:
    """The last test of this service: Google is left out afterwards."""
    for number, says in enumerate(("silence", "429")):
        google.says = [says]
        spoken = await say(connection, f"Nobody there, {number}")
        assert spoken.voice == "espeak/en-us"
    google.says = ["sound"]
    asked = len(google.asked)
    assert (await say(connection, "It rests for a while")).voice == "espeak/en-us"
    assert len(google.asked) == asked


async def test_eight_at_once_of_one_guild_are_all_spoken(connection: Connection) -> None:
    """How long they take, `make bench NAME=speech` shows."""
    texts = [f"This is number {number}, {os.urandom(2).hex()}" for number in range(8)]
    spoken = await asyncio.gather(*(say(connection, text, voice="espeak") for text in texts))
    assert {one.voice for one in spoken} == {"espeak/en-us"}
