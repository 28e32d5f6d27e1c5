"""Real engines in processes of their own: they speak and hear; what breaks is told, and mended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from chorus.common.errors import InternalError, InvalidInput, TimedOut, TooLarge
from chorus.speech.backends import audio
from chorus.speech.backends.process import ListenerProcess, SpeakerProcess
from chorus.speech.voice.sound import Sound
from tests.unit.speech.recordings import tone, wav


@pytest.fixture(scope="module")
async def speaker() -> AsyncIterator[SpeakerProcess]:
    async with SpeakerProcess(max_seconds=20, within=30) as process:
        yield process


@pytest.fixture(scope="module")
async def listener() -> AsyncIterator[ListenerProcess]:
    async with ListenerProcess(max_seconds=20, within=30) as process:
        yield process


@pytest.mark.parametrize("sentence", ["hello world one two three", "we are ready to go"])
async def test_what_is_said_is_heard(
    speaker: SpeakerProcess, listener: ListenerProcess, sentence: str
) -> None:
    spoken = await speaker.speak(sentence, "en-us")
    heard = await listener.hear(spoken.data, "x.ogg")
    assert heard.text == sentence
    assert heard.seconds == pytest.approx(spoken.seconds, abs=0.05)


async def test_sentences_parted_by_a_pause_are_both_heard(
    speaker: SpeakerProcess, listener: ListenerProcess
) -> None:
    first, second = [
        audio.read((await speaker.speak(text, "en-us")).data, "x", rate=16_000, max_seconds=20).samples
        for text in ("hello world one two three", "we are ready to go")
    ]
    both = wav(Sound(first + bytes(48_000) + second, 16_000))
    assert (await listener.hear(both, "x.wav")).text == "hello world one two three we are ready to go"


async def test_many_languages(speaker: SpeakerProcess) -> None:
    assert len(speaker.languages) > 100
    assert (await speaker.speak("Guten Morgen", "de")).seconds > 0.5
    german, english = [await speaker.speak("Guten Morgen", name) for name in ("de", "en-us")]
    assert german.data != english.data


async def test_a_tone_has_no_words(listener: ListenerProcess) -> None:
    assert (await listener.hear(wav(Sound(tone(0.2).samples, 22_050)), "x.wav")).text == ""


async def test_what_is_wrong_comes_back_and_the_next_is_heard(
    speaker: SpeakerProcess, listener: ListenerProcess
) -> None:
    with pytest.raises(InvalidInput) as broken:
        await listener.hear(b"nothing", "x.ogg")
    assert (broken.value.code, broken.value.param) == ("unreadable_audio", "audio")
    with pytest.raises(TooLarge) as long:
        await speaker.speak("one two three " * 60, "en-us")
    assert long.value.code == "speech_too_long"
    with pytest.raises(InvalidInput) as silent:
        await speaker.speak("\u3000", "en-us")
    assert silent.value.code == "nothing_to_say"
    assert (await speaker.speak("we are ready to go", "en-us")).seconds < 2


async def test_an_engine_that_dies_is_started_again(speaker: SpeakerProcess) -> None:
    child = await speaker._running()
    os.kill(child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(speaker.speak("hello", "en-us"))
    await asyncio.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(InternalError) as error:
        await asked
    assert error.value.code == "engine_died"
    assert (await speaker.speak("hello", "en-us")).data[:4] == b"OggS"


async def test_what_takes_too_long_is_ended(speaker: SpeakerProcess) -> None:
    async with SpeakerProcess(max_seconds=20, within=0.2) as slow:
        child = await slow._running()
        os.kill(child.pid, signal.SIGSTOP)
        with pytest.raises(TimedOut) as error:
            await slow.speak("hello", "en-us")
        assert error.value.code == "speech_too_slow"
        assert child.returncode is not None


async def test_who_asked_and_left_leaves_no_answer_for_the_next(speaker: SpeakerProcess) -> None:
    asked = asyncio.create_task(speaker.speak("one two three four five six seven", "en-us"))
    await asyncio.sleep(0.001)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await speaker.speak("hello", "en-us")).seconds < 1
