"""What the service answers, with engines that only keep what they were asked."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.contracts.speech import Speak, Transcribe
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import ChorusError, InvalidInput, NotPermitted
from chorus.speech.handlers import Limits, SpeechHandlers
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.ports import Heard, Recording


class FakeStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put_by_hash(self, bucket: str, guild: str, data: bytes) -> ObjectRef:
        sha256 = hashlib.sha256(data).hexdigest()
        key = f"{guild}/{sha256}"
        self.objects[f"{bucket}/{key}"] = data
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=sha256)

    async def get(self, ref: ObjectRef) -> bytes:
        return self.objects[f"{ref.bucket}/{ref.key}"]


class FakeSpeaker:
    name, languages = "fake", ("en-us", "de")

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str]] = []

    async def speak(self, text: str, language: str) -> Recording:
        self.spoken.append((text, language))
        return Recording(b"sound", 1.5)


class FakeListener:
    language = "en-us"

    def __init__(self) -> None:
        self.says = "hello"

    async def hear(self, data: bytes, filename: str) -> Heard:
        return Heard(self.says, 2.5)


class World:
    def __init__(self) -> None:
        self.store, self.speaker, self.listener = FakeStore(), FakeSpeaker(), FakeListener()
        self.registry = CollectorRegistry()
        self.handlers = SpeechHandlers(
            self.store,  # type: ignore[arg-type]
            self.speaker,
            self.listener,
            Limits(language="en-us", text=50, audio_bytes=100),
            SpeechMetrics(self.registry),
        )

    def seconds(self, done: str) -> float | None:
        return self.registry.get_sample_value("chorus_speech_audio_seconds_total", {"done": done})

    async def recording(self) -> ObjectRef:
        return await self.store.put_by_hash("files", "42", b"data")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    yield World()


async def test_a_text_is_spoken_and_stored_in_the_guilds_own_folder(world: World) -> None:
    spoken = await world.handlers.speak(Speak(guild="42", text="**Hi** https://x.y"))
    assert world.speaker.spoken == [("Hi a link", "en-us")]
    assert (spoken.seconds, spoken.voice) == (1.5, "fake/en-us")
    assert spoken.audio.key.startswith("42/")
    assert await world.store.get(spoken.audio) == b"sound"
    assert world.seconds("spoken") == 1.5


async def test_another_language(world: World) -> None:
    await world.handlers.speak(Speak(guild="42", text="Hallo", language="DE"))
    assert world.speaker.spoken == [("Hallo", "de")]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Speak(text=" "), "nothing_to_say"),
        (Speak(text="a" * 51), "text_too_long"),
        (Speak(text="hi", language="tlh"), "unknown_language"),
    ],
)
async def test_what_cannot_be_said(world: World, asked: Speak, code: str) -> None:
    with pytest.raises(ChorusError) as error:
        await world.handlers.speak(asked)
    assert error.value.code == code
    assert not world.speaker.spoken
    assert not world.store.objects


async def test_a_recording_is_written_down(world: World) -> None:
    asked = Transcribe(guild="42", audio=await world.recording(), filename="x.ogg")
    heard = await world.handlers.transcribe(asked)
    assert (heard.text, heard.seconds, heard.language) == ("hello", 2.5, "en-us")
    assert world.seconds("heard") == 2.5


async def test_where_no_words_are_made_out_none_are_made_up(world: World) -> None:
    world.listener.says = ""
    with pytest.raises(InvalidInput) as error:
        await world.handlers.transcribe(
            Transcribe(guild="42", audio=await world.recording(), filename="x.ogg")
        )
    assert error.value.code == "nothing_heard"


async def test_another_guilds_recording_is_not_even_fetched(world: World) -> None:
    audio = ObjectRef(bucket="files", key="42/gone", size=1, sha256="0" * 64)
    with pytest.raises(NotPermitted):
        await world.handlers.transcribe(Transcribe(guild="43", audio=audio, filename="x.ogg"))
