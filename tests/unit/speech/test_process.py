"""Real engines in processes of their own: they speak and hear; what breaks is told, and mended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.speech import Voice
from chorus.common.errors import InternalError, InvalidInput, TimedOut, TooLarge
from chorus.speech.backends import audio
from chorus.speech.backends.listening import ListenerProcess
from chorus.speech.backends.speaking import SpeakerProcess
from chorus.speech.voice.casting import Role
from chorus.speech.voice.ears import EarOptions
from chorus.speech.voice.mouths import MouthOptions
from chorus.speech.voice.ports import Heard, Recording, unheeded
from chorus.speech.voice.sound import Sound
from tests.unit.speech.recordings import tone

ESPEAK = Voice(name="espeak", engine="espeak", languages=["en-us", "de"])
ENGLISH, GERMAN = Role(ESPEAK, "en-us"), Role(ESPEAK, "de")


def espeak(within: float) -> MouthOptions:
    return MouthOptions(engine="espeak", within=within)


@pytest.fixture(scope="module")
async def speaker() -> AsyncIterator[SpeakerProcess]:
    async with SpeakerProcess(espeak(30), max_seconds=20, whole=30) as process:
        yield process


@pytest.fixture(scope="module")
async def listener() -> AsyncIterator[ListenerProcess]:
    async with ListenerProcess(EarOptions(engine="sphinx", within=60)) as process:
        yield process


async def hear(listener: ListenerProcess, sound: Sound) -> Heard:
    async def tell(text: str) -> None:
        await unheeded(text, listener.engine)

    return await listener.hear(sound, "en-US", tell)


def samples(spoken: Recording) -> Sound:
    return audio.read(spoken.data, "x", rate=16_000, max_seconds=20)


@pytest.mark.parametrize("sentence", ["hello world one two three", "we are ready to go"])
async def test_what_is_said_is_heard(
    speaker: SpeakerProcess, listener: ListenerProcess, sentence: str
) -> None:
    spoken = await speaker.speak(sentence, ENGLISH)
    heard = await hear(listener, samples(spoken))
    assert heard.text == sentence
    assert heard.seconds == pytest.approx(spoken.seconds, abs=0.05)


async def test_sentences_parted_by_a_pause_are_both_heard(
    speaker: SpeakerProcess, listener: ListenerProcess
) -> None:
    first, second = [
        samples(await speaker.speak(text, ENGLISH)).samples
        for text in ("hello world one two three", "we are ready to go")
    ]
    both = Sound(first + bytes(48_000) + second, 16_000)
    assert (await hear(listener, both)).text == "hello world one two three we are ready to go"


async def test_many_languages(speaker: SpeakerProcess) -> None:
    assert len(speaker.voices["espeak"]) > 100
    assert (await speaker.speak("Guten Morgen", GERMAN)).seconds > 0.5
    german, english = [await speaker.speak("Guten Morgen", role) for role in (GERMAN, ENGLISH)]
    assert german.data != english.data


async def test_a_tone_has_no_words(listener: ListenerProcess) -> None:
    assert (await hear(listener, tone(0.2, rate=16_000))).text == ""


async def test_what_is_wrong_comes_back_and_the_next_is_said(speaker: SpeakerProcess) -> None:
    with pytest.raises(TooLarge) as long:
        await speaker.speak("one two three " * 60, ENGLISH)
    assert long.value.code == "speech_too_long"
    with pytest.raises(InvalidInput) as silent:
        await speaker.speak("\u3000", ENGLISH)
    assert silent.value.code == "nothing_to_say"
    assert (await speaker.speak("we are ready to go", ENGLISH)).seconds < 2


async def test_an_engine_that_dies_is_started_again(speaker: SpeakerProcess) -> None:
    child = await speaker._running()
    os.kill(child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(speaker.speak("hello", ENGLISH))
    await asyncio.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(InternalError) as error:
        await asked
    assert error.value.code == "engine_died"
    assert (await speaker.speak("hello", ENGLISH)).data[:4] == b"OggS"


async def test_what_takes_too_long_is_ended(speaker: SpeakerProcess) -> None:
    async with SpeakerProcess(espeak(0.2), max_seconds=20, whole=30) as slow:
        child = await slow._running()
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(TimedOut) as error:
            await slow.speak("hello", ENGLISH)
        assert error.value.code == "speech_too_slow"
        assert child.returncode is not None


async def test_who_asked_and_left_leaves_no_answer_for_the_next(speaker: SpeakerProcess) -> None:
    asked = asyncio.create_task(speaker.speak("one two three four five six seven", ENGLISH))
    await asyncio.sleep(0.001)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await speaker.speak("hello", ENGLISH)).seconds < 1
