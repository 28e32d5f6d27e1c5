"""Speech on real servers: what is said is heard, sound stays with its guild, what is wrong has a code."""

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import (
    CANCEL,
    SAID,
    STT,
    TTS,
    Speak,
    Spoken,
    SpokenPart,
    Transcribe,
    Transcript,
)
from chorus.common.contracts.storage import FILES, ONCE, ObjectRef
from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError, NotPermitted, Unavailable
from chorus.common.local.process import Process
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.ports import Heard, Upload
from chorus.speech.voice.sound import Sound
from tests.conftest import fresh_guild
from tests.support.chorus import session_pids, still_running
from tests.support.servers import Servers
from tests.support.speaking import transcribed
from tests.unit.speech.recordings import tone, wav

SENTENCE = "hello world one two three"


@pytest.fixture(scope="module")
async def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """The service, as a process of its own; nothing of it may be left in the end."""
    folder = tmp_path_factory.mktemp("speech")
    process = Process(servers.stack.service("speech"), folder / "speech.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
        pids = session_pids(process.child.pid)
        assert len(pids) >= 4, "the service, an engine that speaks, one that hears, a decoder that waits"
    finally:
        await process.stop(20.0)
    assert process.child.returncode == 0
    assert not still_running(pids)


@pytest.fixture
async def connection(servers: Servers, service: Process) -> AsyncIterator[Connection]:
    async with servers.connected("gateway") as connected:
        yield connected


@pytest.fixture
def speech(servers: Servers, connection: Connection) -> BusSpeech:
    return BusSpeech(connection, servers.store(), max_upload=25 * MIB)


async def put(servers: Servers, guild: str, data: bytes) -> ObjectRef:
    return await servers.store().put_by_hash(FILES, guild, data)


async def test_without_it_the_answer_says_so(servers: Servers) -> None:
    """The first test here: the others start it."""
    async with servers.connected("gateway") as alone:
        with pytest.raises(Unavailable) as error:
            await ask(alone, TTS, Speak(text="hi"), Spoken)
    assert error.value.code == "no_responders"


async def test_what_is_said_is_heard(speech: BusSpeech, guild: str) -> None:
    data, seconds = await speech.speak(guild, SENTENCE, None)
    assert data[:4] == b"OggS"
    assert 1 < seconds < 3
    heard = await transcribed(speech, guild, Upload("hello.ogg", data))
    assert heard.text == SENTENCE


async def test_what_two_have_said_at_once_reaches_both_and_stays_nowhere(
    servers: Servers, speech: BusSpeech, guild: str
) -> None:
    (one, _), (other, _) = await asyncio.gather(*(speech.speak(guild, "ahoy", None) for _ in range(2)))
    assert one[:4] == other[:4] == b"OggS"
    assert not await servers.store().list(FILES, f"{guild}/")


async def test_what_is_spoken_sentence_by_sentence_is_kept_and_then_comes_in_one(
    servers: Servers, speech: BusSpeech, guild: str
) -> None:
    text = "We sail at dawn. The harbour is quiet."
    for parts in (2, 1):
        spoken = [part async for part in speech.speaking(guild, text, None)]
        assert [part[:4] for part in spoken] == [b"OggS"] * parts
    assert not await servers.store().list(FILES, f"{guild}/")


async def test_sound_goes_by_reference_into_the_guilds_own_folder(
    servers: Servers, connection: Connection, guild: str
) -> None:
    spoken = await ask(connection, TTS, Speak(guild=guild, text="Hallo", language="de"), Spoken)
    assert spoken.voice == "espeak/de"
    assert spoken.audio.bucket == FILES
    assert spoken.audio.key.startswith(f"{guild}/{ONCE}/")
    assert len(await servers.store().get(spoken.audio)) == spoken.audio.size


async def test_sentences_come_one_by_one_and_the_whole_at_the_end(connection: Connection, guild: str) -> None:
    asked = Speak(guild=guild, text="We are ready. The weather is nice. Do you come in?", partial=True)
    replies = [reply async for reply in ask_stream(connection, TTS, asked, SAID, cancel=CANCEL)]
    *parts, whole = replies
    assert isinstance(whole, Spoken)
    assert [part.i for part in parts if isinstance(part, SpokenPart)] == [0, 1, 2]
    assert sum(part.seconds for part in parts) == pytest.approx(whole.seconds, abs=0.01)
    again = [reply async for reply in ask_stream(connection, TTS, asked, SAID, cancel=CANCEL)]
    assert [reply.type for reply in again] == ["spoken"], "what is kept comes in one"


async def test_who_leaves_after_the_first_sentence_leaves_the_engine_to_others(
    connection: Connection, guild: str
) -> None:
    asked = Speak(guild=guild, text="This goes on and on. " * 40, partial=True)
    async with aclosing(ask_stream(connection, TTS, asked, SAID, cancel=CANCEL)) as replies:
        first = await anext(replies)
    assert isinstance(first, SpokenPart)
    spoken = await ask(connection, TTS, Speak(guild=guild, text="Now it is me"), Spoken)
    assert spoken.seconds < 3


async def test_a_handwritten_question(servers: Servers, service: Process) -> None:
    async with servers.connected("operator") as operator:
        reply = await operator.request(TTS, b'{"text":"hello"}', timeout=10)
        assert json.loads(reply.data)["audio"]["key"].startswith("local/")


async def test_another_guilds_recording_is_refused(
    servers: Servers, connection: Connection, guild: str
) -> None:
    audio = await put(servers, guild, wav(tone(0.5)))
    asked = Transcribe(guild=fresh_guild(), audio=audio, filename="theirs.ogg")
    with pytest.raises(NotPermitted) as error:
        await ask(connection, STT, asked, Transcript)
    assert error.value.code == "other_guild"


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("", None, "nothing_to_say"),
        ("...", None, "nothing_to_say"),
        ("a" * 1001, None, "text_too_long"),
        ("9 8 7 " * 160, None, "speech_too_long"),
        ("hello", "klingon", "unknown_language"),
        ("hello", "x" * 99, "unknown_language"),
    ],
)
async def test_what_cannot_be_said(
    speech: BusSpeech, guild: str, text: str, language: str | None, code: str
) -> None:
    with pytest.raises(ChorusError) as error:
        await speech.speak(guild, text, language)
    assert error.value.code == code
    assert error.value.message.endswith(".")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"no recording", "unreadable_audio"),
        (b"OggS" + bytes(300), "unreadable_audio"),
        (wav(tone(0.5, height=0)), "silence"),
        (wav(tone(0.2)), "nothing_heard"),
        (wav(Sound(bytes(4000 * 2 * 601), 4000)), "audio_too_long"),
    ],
)
async def test_what_cannot_be_heard(speech: BusSpeech, guild: str, data: bytes, code: str) -> None:
    with pytest.raises(ChorusError) as error:
        await transcribed(speech, guild, Upload("strange.ogg", data))
    assert error.value.code == code
    assert error.value.message.endswith(".")


async def test_a_recording_that_is_too_large_is_not_fetched(connection: Connection, guild: str) -> None:
    audio = ObjectRef(bucket=FILES, key=f"{guild}/big", size=26 * 1024 * 1024, sha256="0" * 64)
    with pytest.raises(ChorusError) as error:
        await ask(connection, STT, Transcribe(guild=guild, audio=audio, filename="big.ogg"), Transcript)
    assert error.value.code == "audio_too_large"


async def test_a_recording_that_is_gone(connection: Connection, guild: str) -> None:
    audio = ObjectRef(bucket=FILES, key=f"{guild}/gone", size=9, sha256="0" * 64)
    with pytest.raises(ChorusError) as error:
        await ask(connection, STT, Transcribe(guild=guild, audio=audio, filename="gone.ogg"), Transcript)
    assert error.value.code == "no_object"


async def test_while_it_hears_it_speaks(speech: BusSpeech, guild: str) -> None:
    data, _ = await speech.speak(guild, "one two three four five six seven " * 4, None)
    hearing = asyncio.create_task(transcribed(speech, guild, Upload("long.ogg", data)))
    await asyncio.sleep(0.1)
    await speech.speak(fresh_guild(), "hello", None)
    assert not hearing.done()
    heard = (await hearing).text.split()
    assert len({"one", "two", "three", "four", "five", "six", "seven"} & {*heard}) >= 4


async def test_a_guild_that_asks_too_much_at_once_is_told_so(speech: BusSpeech, guild: str) -> None:
    data, _ = await speech.speak(guild, SENTENCE, None)
    asked = [transcribed(speech, guild, Upload("x.ogg", data)) for _ in range(12)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    refused = [error.code for error in told if isinstance(error, ChorusError)]
    assert set(refused) == {"speech_queue_full"}
    heard = [one for one in told if isinstance(one, Heard) and one.text == SENTENCE]
    assert len(heard) >= 8
    assert len(refused) + len(heard) == 12


async def test_what_it_did_is_counted(service: Process, speech: BusSpeech, guild: str) -> None:
    await speech.speak(guild, SENTENCE, None)
    url = service.program.ready_url.replace("/readyz", "/metrics")
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    assert 'chorus_speech_audio_seconds_total{done="spoken",engine="espeak"}' in text
    assert 'chorus_requests_total{endpoint="tts",outcome="ok"}' in text


async def test_an_engine_that_is_killed_is_replaced(service: Process, speech: BusSpeech, guild: str) -> None:
    data, _ = await speech.speak(guild, SENTENCE, None)
    engines = session_pids(service.child.pid) - {service.child.pid}
    assert len(engines) >= 3
    for pid in engines:
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while any(Path(f"/proc/{pid}").exists() for pid in engines):  # until the service has seen it
            await asyncio.sleep(0.02)
    assert (await transcribed(speech, guild, Upload("x.ogg", data))).text == SENTENCE
    assert (await speech.speak(guild, "and here is another voice", None))[1] > 1
