"""Files of strangers over the bus, on real servers: whatever people send is heard, what harms is refused."""

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.speech import STT, Transcribe, Transcript
from chorus.common.contracts.storage import FILES
from chorus.common.contracts.wire import MIB
from chorus.common.errors import ChorusError
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.ports import Upload
from chorus.speech.backends import audio
from tests.support.servers import Servers
from tests.support.speaking import SENTENCE, a_speech, transcribed
from tests.unit.speech.files import BROKEN, CONTAINERS, encoded, long_silence, lying_wav, naming

SOON = 10.0  # seconds, on a busy machine


class Cdn:
    """Stands for Discord's CDN: its files by their names, and who asked for which."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.origin = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        body = self.files.get(request.match_info["name"])
        return web.Response(status=404) if body is None else web.Response(body=body)


@pytest.fixture(scope="module")
async def cdn() -> AsyncIterator[Cdn]:
    cdn, app = Cdn(), web.Application()
    app.router.add_get("/{name}", cdn.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cdn.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield cdn
    await runner.cleanup()


@pytest.fixture(scope="module")
async def connection(
    servers: Servers, cdn: Cdn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Connection]:
    folder = tmp_path_factory.mktemp("media")
    async with a_speech(servers, folder, CHORUS_DISCORD_CDN=cdn.origin), servers.connected("gateway") as bus:
        yield bus


@pytest.fixture
def speech(servers: Servers, connection: Connection) -> BusSpeech:
    return BusSpeech(connection, servers.store(), max_upload=25 * MIB)


@pytest.fixture(scope="module")
async def said(servers: Servers, connection: Connection) -> bytes:
    """The sentence, as a voice message."""
    speech = BusSpeech(connection, servers.store(), max_upload=25 * MIB)
    return (await speech.speak("local", SENTENCE, None))[0]


async def refused(speech: BusSpeech, guild: str, recording: Upload | str) -> str:
    begun = time.monotonic()
    with pytest.raises(ChorusError) as error:
        await transcribed(speech, guild, recording)
    assert time.monotonic() - begun < SOON
    return error.value.code


@pytest.mark.parametrize("name", ["mp3", "m4a", "wav", "webm", "flac"])
async def test_what_people_send_is_heard(speech: BusSpeech, guild: str, said: bytes, name: str) -> None:
    sound = audio.read(said, "x", rate=48_000, max_seconds=10)
    heard = await transcribed(speech, guild, Upload(f"x.{name}", encoded(sound, *CONTAINERS[name])))
    assert heard.text == SENTENCE
    assert heard.engine


async def test_a_recording_is_deleted_once_it_is_heard(
    servers: Servers, speech: BusSpeech, guild: str, said: bytes
) -> None:
    await transcribed(speech, guild, Upload("x.ogg", said))
    assert await refused(speech, guild, Upload("x.ogg", b"no recording")) == "unreadable_audio"
    assert not await servers.store().list(FILES, f"{guild}/")


async def test_an_address_at_discord_is_heard_and_stored_nowhere(
    servers: Servers, speech: BusSpeech, cdn: Cdn, guild: str, said: bytes
) -> None:
    cdn.files["voice-message.ogg"] = said
    assert (await transcribed(speech, guild, f"{cdn.origin}/voice-message.ogg")).text == SENTENCE
    assert await refused(speech, guild, f"{cdn.origin}/gone.ogg") == "file_gone"
    assert not await servers.store().list(FILES, f"{guild}/")


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:1/x.ogg", "https://cdn.discordapp.com@127.0.0.1/x.ogg", "file:///etc/hostname"],
)
async def test_any_other_address_is_refused(speech: BusSpeech, guild: str, address: str) -> None:
    assert await refused(speech, guild, address) == "foreign_file"


async def test_one_recording_is_named(connection: Connection, guild: str) -> None:
    with pytest.raises(ChorusError) as error:
        await ask(connection, STT, Transcribe(guild=guild, filename="x.ogg"), Transcript)
    assert error.value.code == "one_recording"


async def test_what_harms_is_refused_and_the_next_is_heard(
    speech: BusSpeech, cdn: Cdn, guild: str, said: bytes
) -> None:
    cdn.asked.clear()
    hostile = {**naming(f"{cdn.origin}/voice-message.ogg"), **BROKEN}
    hostile.pop("empty")
    for name, data in hostile.items():
        assert await refused(speech, guild, Upload("x.ogg", data)) == "unreadable_audio", name
    assert not cdn.asked
    assert await refused(speech, guild, Upload("x.ogg", b"")) == "empty_file"
    assert await refused(speech, guild, Upload("x.flac", long_silence(2))) in ("audio_too_long", "silence")
    assert await refused(speech, guild, Upload("x.wav", lying_wav(0.1, 0xFFFF_FFFF))) == "nothing_heard"
    assert (await transcribed(speech, guild, Upload("x.ogg", said))).text == SENTENCE
