"""Files of strangers, each decoded in a process of its own: whatever is in them, it costs little and opens
nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from chorus.common.errors import ChorusError, InvalidInput
from chorus.speech.backends.decoding import Decoders
from tests.unit.speech.files import (
    BROKEN,
    CONTAINERS,
    encoded,
    endless_mp3,
    long_silence,
    lying_wav,
    naming,
)
from tests.unit.speech.recordings import tone

QUICK = 8.0  # seconds: a busy machine may take so long to start a process


@pytest.fixture(scope="module")
async def decoders() -> AsyncIterator[Decoders]:
    async with Decoders(max_seconds=20) as running:
        yield running


async def refused(decoders: Decoders, data: bytes) -> str:
    """The code with which a file is refused, in little time."""
    begun = time.monotonic()
    with pytest.raises(ChorusError) as error:
        await decoders.decode(data, "strange.ogg")
    assert time.monotonic() - begun < QUICK
    assert "strange.ogg" in error.value.message
    return error.value.code


@pytest.mark.parametrize("name", ["voice message", "m4a", "webm"])
async def test_what_people_send_becomes_samples(decoders: Decoders, name: str) -> None:
    sound = await decoders.decode(encoded(tone(0.5, rate=48_000), *CONTAINERS[name]), "x")
    assert (sound.rate, sound.silent) == (16_000, False)
    assert sound.seconds == pytest.approx(0.5, abs=0.1)


async def test_what_names_an_address_is_refused_and_nobody_calls_there(decoders: Decoders) -> None:
    calls: list[str] = []
    server = await asyncio.start_server(
        lambda _, writer: (calls.append("call"), writer.close())[1], "127.0.0.1"
    )
    port = server.sockets[0].getsockname()[1]
    async with server:
        for name, data in naming(f"http://127.0.0.1:{port}/secret.ogg").items():
            assert await refused(decoders, data) == "unreadable_audio", name
    assert not calls


@pytest.mark.parametrize("name", ["empty", "text", "cut off in the header", "wav of a thousand channels"])
async def test_what_is_no_recording_is_refused(decoders: Decoders, name: str) -> None:
    assert await refused(decoders, BROKEN[name]) == "unreadable_audio"


async def test_two_hours_of_silence_and_what_never_ends_are_not_unpacked(decoders: Decoders) -> None:
    silence = long_silence(2)
    assert len(silence) < 2_000_000
    assert await refused(decoders, silence) == "audio_too_long"
    assert await refused(decoders, endless_mp3(1000)) == "audio_too_long"


@pytest.mark.parametrize("claimed", [0, 0x7FFF_F000, 0xFFFF_FFFF])
async def test_a_header_that_lies_about_the_length_is_not_believed(decoders: Decoders, claimed: int) -> None:
    assert (await decoders.decode(lying_wav(0.5, claimed), "x")).seconds == pytest.approx(0.5, abs=0.1)


async def test_what_takes_too_long_is_ended() -> None:
    async with Decoders(max_seconds=20, within=0.3) as slow:
        assert slow._spare
        child = await slow._spare
        os.kill(child.pid, signal.SIGSTOP)
        assert await refused(slow, b"OggS") == "unreadable_audio"
        assert child.returncode is not None


async def test_a_decoder_that_breaks_is_one_refusal_and_the_next_is_decoded(decoders: Decoders) -> None:
    assert decoders._spare
    child = await decoders._spare
    os.kill(child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(decoders.decode(endless_mp3(10), "x"))
    await asyncio.sleep(0)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(InvalidInput) as error:
        await asked
    assert error.value.code == "unreadable_audio"
    assert not (await decoders.decode(endless_mp3(1), "x")).silent


INSIDE = """
import resource, socket
from chorus.speech.decoder import shut_in
shut_in()
for attempt in (socket.socket, lambda: open("/etc/hostname"), lambda: bytearray(10**9)):
    try:
        attempt()
    except (OSError, MemoryError) as error:
        print(type(error).__name__)
print(resource.getrlimit(resource.RLIMIT_CPU)[1] < 60)
"""


def test_in_its_process_nothing_can_be_opened_and_memory_and_time_have_an_end() -> None:
    told = subprocess.run([sys.executable, "-c", INSIDE], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["OSError", "OSError", "MemoryError", "True"]
