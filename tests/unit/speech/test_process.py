"""Real engines in processes of their own: they speak and hear; what breaks is told, and mended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.speech import MAX_PART_SECONDS, Voice
from chorus.common.errors import InternalError, InvalidInput, TimedOut, TooLarge
from chorus.speech.backends import audio
from chorus.speech.backends.listening import ListenerProcess
from chorus.speech.backends.speaking import SpeakerProcess
from chorus.speech.voice.casting import Role
from chorus.speech.voice.ears import EarOptions
from chorus.speech.voice.mouths import MouthOptions
from chorus.speech.voice.ports import Clip, Heard, unheeded
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


def samples(spoken: Clip) -> Sound:
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


async def test_sentences_are_told_one_by_one_each_as_a_file_of_its_own(speaker: SpeakerProcess) -> None:
    told: list[tuple[int, Clip]] = []

    async def tell(sentence: int, part: Clip) -> None:
        told.append((sentence, part))

    whole = await speaker.speak("We are ready. We go! Do you?", ENGLISH, tell)
    assert [sentence for sentence, _ in told] == [0, 1, 2]
    assert sum(part.seconds for _, part in told) == pytest.approx(whole.seconds, abs=0.01)
    for _, part in told:
        assert samples(part).seconds == pytest.approx(part.seconds, abs=0.05)


async def test_a_sentence_that_fits_no_message_is_told_in_several() -> None:
    told: list[tuple[int, float]] = []

    async def tell(sentence: int, part: Clip) -> None:
        told.append((sentence, part.seconds))

    async with SpeakerProcess(espeak(30), max_seconds=200, whole=60) as patient:
        await patient.speak("987654321 " * 12, ENGLISH, tell)
    assert len(told) > 1
    assert {sentence for sentence, _ in told} == {0}
    assert max(seconds for _, seconds in told) == MAX_PART_SECONDS


async def test_what_takes_too_long_ends_with_a_sentence_where_it_may_be_cut() -> None:
    async with SpeakerProcess(espeak(30), max_seconds=3, whole=30) as short:
        whole = await short.speak("We are ready.", ENGLISH, cut=True)
        cut = await short.speak("We are ready. " * 9, ENGLISH, cut=True)
        assert (whole.whole, cut.whole) == (True, False)
        assert whole.seconds < cut.seconds <= 3
        with pytest.raises(TooLarge) as error:
            await short.speak("We are ready. " * 9, ENGLISH)
        assert error.value.code == "speech_too_long"


async def test_who_cannot_be_told_a_part_leaves_no_answer_for_the_next(speaker: SpeakerProcess) -> None:
    async def tell(_sentence: int, _part: Clip) -> None:
        raise RuntimeError("the bus is away")

    with pytest.raises(RuntimeError):
        await speaker.speak("one two three four five. six seven.", ENGLISH, tell)
    assert (await speaker.speak("hello", ENGLISH)).seconds < 1


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
    assert (long.value.code, "longer than 20 s" in long.value.message) == ("speech_too_long", True)
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


async def test_the_readers_own_time_is_not_the_engines() -> None:
    async def tell(_sentence: int, _part: Clip) -> None:
        await asyncio.sleep(0.4)

    async with SpeakerProcess(espeak(30), max_seconds=20, whole=1.0) as process:
        assert (await process.speak("One. Two. Three.", ENGLISH, tell)).seconds > 0.5


async def test_where_all_of_a_text_takes_too_long_the_time_that_it_may_take_is_told() -> None:
    async with SpeakerProcess(espeak(30), max_seconds=20, whole=0.0) as process:
        with pytest.raises(TimedOut, match="longer than 0 s"):
            await process.speak("hello", ENGLISH)


async def test_where_no_process_can_be_started_another_engine_can_do_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object, **__: object) -> asyncio.subprocess.Process:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", refuse)
    with pytest.raises(InternalError) as error:
        await SpeakerProcess(espeak(30), max_seconds=20, whole=30).speak("hello", ENGLISH)
    assert error.value.code == "engine_died"


async def test_what_says_something_else_before_it_is_ready_is_not_taken_for_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = SpeakerProcess(espeak(30), max_seconds=20, whole=30)

    async def strange() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *["sh", "-c", "echo hello; exec cat"],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    monkeypatch.setattr(process, "_started", strange)
    for _ in range(2):
        with pytest.raises(InternalError, match="does not start"):
            await process.speak("hello", ENGLISH)
