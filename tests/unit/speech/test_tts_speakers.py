"""The chain of engines that speak: it falls back, says who spoke, and asks nobody for what is kept."""

from pathlib import Path

import pytest

from chorus.common.contracts.speech import Voice
from chorus.common.errors import ChorusError, InvalidInput, TimedOut, Unavailable
from chorus.speech.backends.phrases import Phrases
from chorus.speech.backends.speakers import Link, Speakers
from chorus.speech.voice.casting import Role
from chorus.speech.voice.ports import Recording
from chorus.speech.voice.turns import Turns


class FakeEngine:
    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.voices = [Voice(name=engine, engine=engine, languages=["en-us"])]
        self.asked = 0
        self.fails: ChorusError | None = None

    async def speak(self, text: str, role: Role) -> Recording:
        self.asked += 1
        if self.fails:
            raise self.fails
        return Recording(text.encode(), 1.0, role.label)


class World:
    def __init__(self, folder: Path, *engines: str) -> None:
        self.engines = [FakeEngine(engine) for engine in engines]
        links = [Link(engine, Turns(of_a_guild=2, patience=5)) for engine in self.engines]
        self.speakers = Speakers(links, Phrases(folder, most_bytes=1000, most=10), "en-us")

    async def say(self, text: str, voice: str | None = None) -> str:
        return (await self.speakers.speak("42", text, None, voice)).voice

    @property
    def asked(self) -> list[int]:
        return [engine.asked for engine in self.engines]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "gtts", "espeak")


async def test_the_first_speaks_and_what_it_said_is_kept(world: World) -> None:
    assert [await world.say("one"), await world.say("one")] == ["gtts/en-us"] * 2
    assert world.asked == [1, 0]


async def test_what_the_first_cannot_do_the_next_one_does(world: World) -> None:
    world.engines[0].fails = TimedOut("Google takes too long.")
    assert [await world.say(text) for text in ("one", "two", "three")] == ["espeak/en-us"] * 3
    assert world.asked == [2, 3], "after two failures nobody waits for it"


async def test_a_wished_voice_goes_first(world: World) -> None:
    assert await world.say("one", "espeak") == "espeak/en-us"


async def test_what_is_wrong_with_the_text_is_told_at_once(world: World) -> None:
    world.engines[0].fails = InvalidInput("There is nothing to say.", code="nothing_to_say")
    with pytest.raises(InvalidInput):
        await world.say("one")
    assert world.asked == [1, 0]


async def test_where_all_fail_each_reason_is_told(world: World) -> None:
    for engine in world.engines:
        engine.fails = Unavailable(f"{engine.engine} is away.")
    with pytest.raises(Unavailable) as error:
        await world.say("one")
    assert error.value.code == "nobody_speaks"
    assert "gtts is away; espeak is away" in error.value.message


async def test_where_there_is_one_its_own_error_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, "espeak")
    world.engines[0].fails = TimedOut("Too slow.", code="speech_too_slow")
    with pytest.raises(TimedOut) as error:
        await world.say("one")
    assert error.value.code == "speech_too_slow"
