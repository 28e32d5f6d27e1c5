"""What the service answers, with engines that only keep what they were asked."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from chorus.common.contracts.speech import ListVoices, Speak, Spoken, SpokenPart, Transcribe, Voice
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import ChorusError, InvalidInput, NotPermitted
from chorus.speech.handlers import Limits, SpeechHandlers
from chorus.speech.metrics import SpeechMetrics
from chorus.speech.voice.ports import Clip, Heard, OnHeard, OnSpoken
from chorus.speech.voice.recordings import Recordings
from chorus.speech.voice.sound import Sound


class FakeStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, bucket: str, key: str, data: bytes) -> ObjectRef:
        sha256 = hashlib.sha256(data).hexdigest()
        self.objects[f"{bucket}/{key}"] = data
        return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=sha256)

    async def get(self, ref: ObjectRef) -> bytes:
        return self.objects[f"{ref.bucket}/{ref.key}"]


class FakeSpeaker:
    language = "en-us"
    voices = (Voice(name="fake", engine="fake", languages=["en-us", "de"]),)

    def __init__(self) -> None:
        self.spoken: list[tuple[str, str | None, str | None]] = []
        self.kept: dict[str, Clip] = {}
        self.cut = False

    def said_before(self, text: str, language: str | None, voice: str | None) -> Clip | None:
        return self.kept.get(text)

    async def speak(
        self,
        text: str,
        language: str | None,
        voice: str | None,
        on_spoken: OnSpoken | None = None,
        *,
        cut: bool = False,
    ) -> Clip:
        self.spoken.append((text, language, voice))
        self.cut = cut
        if on_spoken:
            await on_spoken(0, Clip(b"so", 1.0, "fake/en-us"))
            await on_spoken(2, Clip(b"und", 0.5, "fake/en-us"))
        return Clip(b"sound", 1.5, "fake/en-us")


class FakeListener:
    def __init__(self) -> None:
        self.says = "hello"

    async def hear(self, sound: Sound, language: str, on_heard: OnHeard) -> Heard:
        assert sound.samples == b"data"
        await on_heard("hel", "fake")
        return Heard(self.says, 2.5, language, "fake")


class FakeReplies:
    def __init__(self) -> None:
        self.sent: list[BaseModel] = []

    async def send(self, piece: BaseModel) -> None:
        self.sent.append(piece)


class FakeCdn:
    async def fetch(self, address: str, filename: str) -> bytes:
        assert address == "https://cdn.discordapp.com/x.ogg"
        return b"data"


class FakeDecoder:
    async def decode(self, data: bytes, filename: str) -> Sound:
        return Sound(data, 16_000)


class World:
    def __init__(self) -> None:
        self.store, self.speaker, self.listener = FakeStore(), FakeSpeaker(), FakeListener()
        self.registry = CollectorRegistry()
        self.handlers = SpeechHandlers(
            self.store,  # type: ignore[arg-type]
            self.speaker,
            Recordings(self.store, FakeCdn(), FakeDecoder(), most=100),  # type: ignore[arg-type]
            self.listener,
            Limits(text=50),
            SpeechMetrics(self.registry),
        )

    def seconds(self, done: str) -> float | None:
        told = {"done": done, "engine": "fake"}
        return self.registry.get_sample_value("chorus_speech_audio_seconds_total", told)

    async def recording(self) -> ObjectRef:
        return await self.store.put("files", "42/a", b"data")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    yield World()


async def test_a_text_is_spoken_and_stored_in_the_guilds_own_folder(world: World) -> None:
    spoken = await world.handlers.speak(Speak(guild="42", text="**Hi** https://x.y"))
    assert world.speaker.spoken == [("Hi", None, None)]
    assert (spoken.seconds, spoken.voice) == (1.5, "fake/en-us")
    assert spoken.audio.key.startswith("42/")
    assert await world.store.get(spoken.audio) == b"sound"
    assert world.seconds("spoken") == 1.5


@pytest.mark.parametrize("partial", [False, True])
async def test_each_sentence_is_told_before_the_whole_where_it_is_asked_for(
    world: World, partial: bool
) -> None:
    replies = FakeReplies()
    await world.handlers.say(Speak(text="Hi", partial=partial), replies)  # type: ignore[arg-type]
    *parts, whole = replies.sent
    assert isinstance(whole, Spoken)
    told = [(part.i, part.sound, part.voice) for part in parts if isinstance(part, SpokenPart)]
    assert told == ([(0, b"so", "fake/en-us"), (1, b"und", "fake/en-us")] if partial else [])


async def test_what_has_been_said_before_waits_for_nobody(world: World) -> None:
    world.speaker.kept["Hi"] = Clip(b"kept", 1.0, "fake/en-us")
    spoken = await world.handlers.speak(Speak(guild="42", text="Hi"))
    assert await world.store.get(spoken.audio) == b"kept"
    assert not world.speaker.spoken


async def test_another_language_and_voice(world: World) -> None:
    await world.handlers.speak(Speak(guild="42", text="Hallo", language="DE", voice="rms"))
    assert world.speaker.spoken == [("Hallo", "DE", "rms")]


async def test_of_a_text_that_may_be_cut_as_much_is_spoken_as_may_be(world: World) -> None:
    await world.handlers.speak(Speak(text="We sail. " + "And then we come back. " * 3, cut=True))
    assert world.speaker.spoken[0][0] == "We sail. And then we come back."
    assert world.speaker.cut, "also where it takes too long"


async def test_who_can_speak_is_listed(world: World) -> None:
    listed = await world.handlers.list_voices(ListVoices())
    assert (listed.language, [voice.name for voice in listed.voices]) == ("en-us", ["fake"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Speak(text=" "), "nothing_to_say"),
        (Speak(text="a" * 51), "text_too_long"),
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
    assert (heard.text, heard.seconds, heard.language, heard.engine) == ("hello", 2.5, "auto", "fake")
    assert world.seconds("heard") == 2.5


@pytest.mark.parametrize(("partial", "told"), [(False, ["hello"]), (True, ["hel", "hello"])])
async def test_what_is_heard_so_far_is_told_where_it_is_asked_for(
    world: World, partial: bool, told: list[str]
) -> None:
    replies = FakeReplies()
    asked = Transcribe(guild="42", audio=await world.recording(), filename="x.ogg", partial=partial)
    await world.handlers.write_down(asked, replies)  # type: ignore[arg-type]
    assert [piece.text for piece in replies.sent] == told  # type: ignore[attr-defined]


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


async def test_a_recording_that_discord_keeps_is_written_down_and_stored_nowhere(world: World) -> None:
    asked = Transcribe(guild="42", url="https://cdn.discordapp.com/x.ogg", filename="x.ogg")
    assert (await world.handlers.transcribe(asked)).text == "hello"
    assert not world.store.objects


@pytest.mark.parametrize("both", [True, False])
async def test_one_recording_is_named(world: World, both: bool) -> None:
    audio, url = (await world.recording(), "https://cdn.discordapp.com/x.ogg") if both else (None, None)
    with pytest.raises(InvalidInput) as error:
        await world.handlers.transcribe(Transcribe(guild="42", audio=audio, url=url, filename="x.ogg"))
    assert error.value.code == "one_recording"
