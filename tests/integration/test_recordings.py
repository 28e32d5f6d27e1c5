"""Recordings on their way to be heard: told as they are heard, and gone whatever becomes of who sent them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from unittest.mock import AsyncMock

import pytest

from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.speech import (
    CANCEL,
    STT,
    TTS,
    Partial,
    Speak,
    Transcribe,
    Transcript,
    recordings_of,
)
from chorus.common.contracts.storage import FILES, once
from chorus.common.contracts.wire import MIB
from chorus.common.errors import TimedOut
from chorus.common.objects import Stored
from chorus.gateway.backends import speech
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.ports import Heard, Upload
from chorus.trainer.datasets.keeper import Keeper
from tests.benchmarks.chatting.process import a_gateway
from tests.support.discord.double import running_discord
from tests.support.discord.world import Attachment
from tests.support.servers import Servers

LONG = Upload("long.ogg", b"OggS")
WHOLE = Transcript(text="We sail at dawn.", seconds=600.0, language="en-US", engine="slow")


class SlowEar:
    """Hears the beginning at once, and the rest when it is told to."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Transcribe] = asyncio.Queue()
        self.goes_on = asyncio.Event()

    async def write_down(self, asked: Transcribe, replies: ReplyStream) -> None:
        self.asked.put_nowait(asked)
        await replies.send(Partial(text="We sail", engine="slow"))
        await self.goes_on.wait()
        await replies.send(WHOLE)


@pytest.fixture
async def ear(servers: Servers) -> AsyncIterator[SlowEar]:
    ear = SlowEar()

    def declare(responder: Responder) -> None:
        responder.stream("stt", STT, Transcribe, ear.write_down, cancel=CANCEL)

    async with servers.serving("speech", declare, grace=0.1):
        yield ear


@asynccontextmanager
async def an_asker(servers: Servers) -> AsyncIterator[BusSpeech]:
    async with servers.connected("gateway") as connection:
        yield BusSpeech(connection, servers.store(), max_upload=MIB)


async def stored(servers: Servers, guild: str) -> list[str]:
    return [found.key for found in await servers.store().list(FILES, f"{guild}/")]


async def test_of_what_a_person_has_said_the_last_is_kept(
    servers: Servers, guild: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "MOST_KEPT", 2)
    async with an_asker(servers) as asker:
        for name in ("1.ogg", "2.MP3", "3"):
            await asker.keep(guild, "42", Upload(name, name.encode()))
        await asker.keep(guild, "43", LONG)
    store, theirs = servers.store(), recordings_of(guild, "42")
    kept = sorted(await stored(servers, guild))
    assert [await store.get_unhashed(FILES, key) for key in kept] == [b"2.MP3", b"3", LONG.data]
    assert [key.startswith(theirs) for key in kept] == [True, True, False]
    assert [PurePosixPath(key).suffix for key in kept] == [".mp3", "", ".ogg"]


async def test_a_text_for_which_nobody_waits_is_not_spoken_on(servers: Servers, guild: str) -> None:
    speaks, left = asyncio.Event(), asyncio.Event()

    async def speak(_asked: Speak, _replies: ReplyStream) -> None:
        speaks.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    def declare(responder: Responder) -> None:
        responder.stream("tts", TTS, Speak, speak, cancel=CANCEL)

    async with servers.serving("speech", declare, grace=0.1), an_asker(servers) as asker:
        asking = asyncio.create_task(asker.speak(guild, "We sail at dawn.", None))
        await speaks.wait()
        asking.cancel()
        async with asyncio.timeout(5):
            await left.wait()


class OfAGuild:
    """The store, as if there were nothing else in it."""

    def __init__(self, servers: Servers, guild: str) -> None:
        self._store, self._guild = servers.store(), guild
        self.delete = self._store.delete

    async def list(self, bucket: str, _prefix: str) -> list[Stored]:
        return await self._store.list(bucket, f"{self._guild}/") if bucket == FILES else []


async def look(servers: Servers, guild: str) -> None:
    """What the keeper does once in ten minutes."""
    nobody = AsyncMock()
    nobody.guilds.return_value = []
    nobody.clear.return_value = 0
    nobody.unnamed.return_value = []
    everybody = [nobody] * 7
    await Keeper(*everybody, OfAGuild(servers, guild)).clear()  # type: ignore[arg-type]


async def test_it_is_told_as_it_is_heard_and_deleted_at_its_end(
    servers: Servers, ear: SlowEar, guild: str
) -> None:
    async with an_asker(servers) as asker:
        so_far = asker.hear(guild, LONG, "ru")
        assert await anext(so_far) == Heard("We sail", "slow", "")
        asked = await ear.asked.get()
        assert asked.language == "ru"
        assert asked.audio
        assert await stored(servers, guild) == [asked.audio.key]
        ear.goes_on.set()
        assert [heard async for heard in so_far] == [Heard("We sail at dawn.", "slow", "en-US")]
    assert await stored(servers, guild) == []


async def test_who_no_longer_waits_leaves_nothing(servers: Servers, ear: SlowEar, guild: str) -> None:
    async with an_asker(servers) as asker:
        so_far = asker.hear(guild, LONG)
        await anext(so_far)
        await so_far.aclose()
    assert await stored(servers, guild) == []


@pytest.mark.usefixtures("ear")
async def test_patience_ends_with_silence_and_not_with_time(
    servers: Servers, guild: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "NEXT_HEARD_WITHIN", 0.05)
    async with an_asker(servers) as asker:
        so_far = asker.hear(guild, LONG)
        assert (await anext(so_far)).text == "We sail"
        with pytest.raises(TimedOut):
            await anext(so_far)
    assert await stored(servers, guild) == []


async def test_what_a_killed_gateway_leaves_is_deleted_after_an_hour(
    servers: Servers, ear: SlowEar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_discord() as discord:
        server, channel, admin = discord.guild()
        async with a_gateway(servers, tmp_path, discord) as killed:
            await discord.say(channel, admin, "!transcribe", files=[Attachment("long.ogg", b"OggS")])
            asked = await ear.asked.get()
            killed.child.kill()
            await killed.child.wait()
    guild, store = server.id, servers.store()
    assert asked.audio
    spoken = await store.put(FILES, once(guild), b"OggS")
    kept = await store.put(FILES, f"{recordings_of(guild, admin.id)}1.ogg", b"OggS")
    await look(servers, guild)
    assert set(await stored(servers, guild)) == {asked.audio.key, spoken.key, kept.key}, "not yet"
    monkeypatch.setattr("chorus.trainer.datasets.keeper.UNUSED_AFTER", timedelta(hours=-1))
    await look(servers, guild)
    assert await stored(servers, guild) == [kept.key]
