"""Hearing with several engines: which one heard it, what is told so far, what is done when one is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace

import pytest

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import (
    CANCEL,
    HEARD,
    STT,
    TTS,
    Partial,
    Speak,
    Spoken,
    Transcribe,
    Transcript,
    Voice,
)
from chorus.common.contracts.storage import FILES, ObjectRef
from chorus.common.errors import InvalidInput
from chorus.common.local.process import Process
from chorus.speech.backends import audio
from chorus.speech.backends.listeners import Listeners
from chorus.speech.backends.listening import ListenerPool
from chorus.speech.backends.speaking import SpeakerProcess
from chorus.speech.voice.casting import Role
from chorus.speech.voice.ears import EarOptions
from chorus.speech.voice.mouths import MouthOptions
from chorus.speech.voice.ports import unheeded
from chorus.speech.voice.sound import Sound
from chorus.speech.voice.turns import Turns
from tests.support.google_hearing import EMPTY, GoogleDouble, google_double, heard, out_of_reach
from tests.support.servers import Servers
from tests.unit.speech.recordings import tone, wav

SENTENCE = "hello world one two three"


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleDouble]:
    with google_double(EMPTY) as double:
        yield double


@pytest.fixture(scope="module")
async def connection(
    servers: Servers, google: GoogleDouble, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Connection]:
    """The gateway's, to a service that asks Google first."""
    program = servers.stack.service("speech")
    chosen = {"CHORUS_STT_ENGINES": "google=5,sphinx", "CHORUS_GOOGLE_ENDPOINT": google.endpoint}
    program = replace(program, environment={**program.environment, **chosen})
    process = Process(program, tmp_path_factory.mktemp("hearing") / "speech.log")
    await process.start()
    try:
        await process.until_ready()
        async with servers.connected("gateway") as connected:
            yield connected
    finally:
        await process.stop(20.0)


@pytest.fixture(scope="module")
async def recording(connection: Connection) -> ObjectRef:
    return (await ask(connection, TTS, Speak(text=SENTENCE), Spoken, within=60)).audio


async def transcribed(connection: Connection, audio: ObjectRef, language: str = "auto") -> Transcript:
    asked = Transcribe(audio=audio, filename="x.ogg", language=language)
    return await ask(connection, STT, asked, Transcript, within=60)


async def test_google_hears_in_the_language_that_is_asked_for_and_is_named(
    connection: Connection, google: GoogleDouble, recording: ObjectRef
) -> None:
    google.answers = [heard("привет мир")]
    told = await transcribed(connection, recording, "ru-RU")
    assert (told.text, told.language, told.engine) == ("привет мир", "ru-RU", "google")
    assert google.asked[-1].language == "ru-RU"


async def test_where_google_is_too_busy_another_hears_it(
    connection: Connection, google: GoogleDouble, recording: ObjectRef
) -> None:
    google.answers = [429]
    told = await transcribed(connection, recording)
    assert (told.text, told.language, told.engine) == (SENTENCE, "en-US", "sphinx")


async def test_no_words_are_told_as_such(
    connection: Connection, google: GoogleDouble, recording: ObjectRef
) -> None:
    google.answers = [EMPTY]
    with pytest.raises(InvalidInput) as error:
        await transcribed(connection, recording)
    assert error.value.code == "nothing_heard"


async def test_over_a_minute_is_heard_and_told_piece_by_piece(
    servers: Servers, connection: Connection, google: GoogleDouble
) -> None:
    google.answers = [heard("we sail at dawn"), heard("at dawn with the tide"), heard("the tide and home")]
    ref = await servers.store().put_by_hash(FILES, "local", wav(tone(70.0, rate=16_000)))
    asked = Transcribe(audio=ref, filename="long.wav", partial=True)
    replies = [reply async for reply in ask_stream(connection, STT, asked, HEARD, cancel=CANCEL)]
    *parts, whole = replies
    assert [(part.text, part.engine) for part in parts if isinstance(part, Partial)] == [
        ("we sail at dawn", "google"),
        ("we sail at dawn with the tide", "google"),
        ("we sail at dawn with the tide and home", "google"),
    ]
    assert isinstance(whole, Transcript)
    assert (whole.text, whole.seconds) == (parts[-1].text, pytest.approx(70.0, abs=0.1))


@pytest.fixture(scope="module")
async def sound() -> Sound:
    espeak = MouthOptions(engine="espeak", within=60)
    voice = Voice(name="espeak", engine="espeak", languages=["en-us"])
    async with SpeakerProcess(espeak, max_seconds=20, whole=60) as speaker:
        spoken = await speaker.speak(SENTENCE, Role(voice, "en-us"))
    return audio.read(spoken.data, "x", rate=16_000, max_seconds=20)


@pytest.fixture(scope="module")
async def sphinx() -> AsyncIterator[ListenerPool]:
    async with ListenerPool(EarOptions(engine="sphinx", within=60), 2) as pool:
        yield pool


async def test_without_a_network_another_hears_it_within_three_seconds(
    sphinx: ListenerPool, sound: Sound
) -> None:
    with out_of_reach() as endpoint:
        await _falls_back(EarOptions(engine="google", within=10, endpoint=endpoint), sphinx, sound)


async def _falls_back(away: EarOptions, sphinx: ListenerPool, sound: Sound) -> None:
    async with ListenerPool(away, 1) as google:
        chain = Listeners([google, sphinx], "en-us")
        await sphinx.hear(sound, "en-US", lambda _: asyncio.sleep(0))
        alone = await seconds(sphinx.hear(sound, "en-US", lambda _: asyncio.sleep(0)))
        assert await seconds(chain.hear(sound, "auto", unheeded)) - alone < 3.0
        assert (await chain.hear(sound, "auto", unheeded)).engine == "sphinx"
        assert await seconds(chain.hear(sound, "auto", unheeded)) < 2 * alone + 0.5, "it is left out"


async def test_of_eight_at_once_two_are_heard_at_a_time(sphinx: ListenerPool, sound: Sound) -> None:
    """Which makes them take no more than three times as long as two (`make bench NAME=speech`)."""
    turns, chain = Turns(of_a_guild=8, patience=60, engines=2), Listeners([sphinx], "en-us")
    at_work: list[int] = [0]

    async def hear() -> None:
        async with turns.turn("42"):
            at_work.append(at_work[-1] + 1)
            assert (await chain.hear(sound, "auto", unheeded)).text == SENTENCE
            at_work.append(at_work[-1] - 1)

    await asyncio.gather(*(hear() for _ in range(8)))
    assert max(at_work) == 2


async def seconds(work: Awaitable[object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started
