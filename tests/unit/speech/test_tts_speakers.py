"""The chain of engines that speak: it falls back, says who spoke, and asks nobody for what is kept."""

from pathlib import Path

import pytest

from chorus.common.contracts.speech import Voice
from chorus.common.errors import ChorusError, InvalidInput, TimedOut, Unavailable
from chorus.speech.backends.phrases import Phrases
from chorus.speech.backends.speakers import Speakers
from chorus.speech.voice.casting import Role
from chorus.speech.voice.ports import Clip, OnSpoken


class FakeEngine:
    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.voices = [Voice(name=engine, engine=engine, languages=["en-us"])]
        self.asked = 0
        self.fails: ChorusError | None = None
        self.fails_at = 0

    async def speak(
        self, text: str, role: Role, on_spoken: OnSpoken | None = None, *, cut: bool = False
    ) -> Clip:
        self.asked += 1
        for number, sentence in enumerate(text.split(". ")):
            if self.fails and number == self.fails_at:
                raise self.fails
            if on_spoken:
                await on_spoken(number, Clip(sentence.encode(), 1.0, role.label))
        return Clip(text.encode(), 1.0, role.label, whole=not cut)


class World:
    def __init__(self, folder: Path, *engines: str) -> None:
        self.engines = [FakeEngine(engine) for engine in engines]
        self.speakers = Speakers(self.engines, Phrases(folder, most_bytes=1000, most=10), "en-us")

    async def say(self, text: str, voice: str | None = None) -> str:
        kept = self.speakers.said_before(text, None, voice)
        return (kept or await self.speakers.speak(text, None, voice)).voice

    async def say_partly(self, text: str) -> list[tuple[bytes, str]]:
        told: list[tuple[bytes, str]] = []

        async def tell(_: int, part: Clip) -> None:
            told.append((part.data, part.voice))

        await self.speakers.speak(text, None, None, tell)
        return told

    @property
    def asked(self) -> list[int]:
        return [engine.asked for engine in self.engines]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "gtts", "espeak")


async def test_the_first_speaks_and_what_it_said_is_kept(world: World) -> None:
    assert [await world.say("one"), await world.say("one")] == ["gtts/en-us"] * 2
    assert world.asked == [1, 0]


async def test_what_was_cut_is_not_kept_for_the_whole_text(world: World) -> None:
    await world.speakers.speak("one. two", None, None, cut=True)
    assert world.speakers.said_before("one. two", None, None) is None


async def test_what_the_first_cannot_do_the_next_one_does(world: World) -> None:
    world.engines[0].fails = TimedOut("Google takes too long.")
    assert [await world.say(text) for text in ("one", "two", "three")] == ["espeak/en-us"] * 3
    assert world.asked == [2, 3], "after two failures nobody waits for it"


async def test_where_an_engine_fails_the_next_one_goes_on_with_its_sentence(world: World) -> None:
    world.engines[0].fails, world.engines[0].fails_at = Unavailable("Google is away."), 2
    one, two, three = (b"one", "gtts/en-us"), (b"two", "gtts/en-us"), (b"three", "espeak/en-us")
    assert await world.say_partly("one. two. three") == [one, two, three]


async def test_where_an_engine_has_begun_nothing_kept_of_another_voice_breaks_in(world: World) -> None:
    await world.say("one. two", "espeak")
    world.engines[0].fails, world.engines[0].fails_at = Unavailable("Google is away."), 1
    assert await world.say_partly("one. two") == [(b"one", "gtts/en-us"), (b"two", "espeak/en-us")]


async def test_while_one_is_left_out_what_the_next_one_has_said_is_not_made_again(world: World) -> None:
    world.engines[0].fails = Unavailable("Google is away.", retry_after=60)
    assert [await world.say("one"), await world.say("one")] == ["espeak/en-us"] * 2
    assert world.asked == [1, 1]


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
    assert "(gtts: gtts is away; espeak: espeak is away)" in error.value.message


async def test_where_there_is_one_its_own_error_is_told_and_it_is_asked_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path, "espeak")
    world.engines[0].fails = TimedOut("Too slow.", code="speech_too_slow")
    for code in ("speech_too_slow", "speech_too_slow", "nobody_speaks"):
        with pytest.raises(ChorusError, match="Too slow") as error:
            await world.say("one")
        assert error.value.code == code
    world.engines[0].fails = None
    assert await world.say("two") == "espeak/en-us", "what failed over one text is asked for another"
