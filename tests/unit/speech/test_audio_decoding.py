"""Files of strangers, each decoded in a process of its own: whatever is in them, it costs little and opens
nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chorus.common.errors import ChorusError, InvalidInput
from chorus.speech.backends import decoding
from chorus.speech.backends.decoding import Decoders
from tests.support.chorus import session_pids
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
        (child,) = slow._idle
        os.kill(child.pid, signal.SIGSTOP)
        assert await refused(slow, b"OggS") == "unreadable_audio"
        assert child.returncode is not None


async def test_a_decoder_that_breaks_is_one_refusal_and_the_next_is_decoded(decoders: Decoders) -> None:
    child = decoders._idle[-1]
    os.kill(child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(decoders.decode(endless_mp3(10), "x"))
    await asyncio.sleep(0)
    os.kill(child.pid, signal.SIGSEGV)
    os.kill(child.pid, signal.SIGCONT)
    with pytest.raises(InvalidInput) as error:
        await asked
    assert error.value.code == "unreadable_audio"
    assert not (await decoders.decode(endless_mp3(1), "x")).silent


async def test_a_decoder_that_is_killed_from_outside_is_no_fault_of_the_file(decoders: Decoders) -> None:
    child = decoders._idle[-1]
    os.kill(child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(decoders.decode(endless_mp3(10), "x"))
    await asyncio.sleep(0)
    os.kill(child.pid, signal.SIGKILL)
    assert not (await asked).silent


async def test_one_process_stands_by_for_all_files_and_its_forks_are_gone(decoders: Decoders) -> None:
    sound = endless_mp3(1)
    await decoders.decode(sound, "x")
    before = [child.pid for child in decoders._idle]
    assert await refused(decoders, BROKEN["text"]) == "unreadable_audio"
    assert not (await decoders.decode(sound, "x")).silent
    assert [child.pid for child in decoders._idle] == before
    assert [session_pids(pid) for pid in before] == [{pid} for pid in before]


async def test_who_does_not_wait_for_it_leaves_no_fork_behind() -> None:
    async with Decoders(max_seconds=3600) as patient:
        (child,) = patient._idle
        asked = asyncio.create_task(patient.decode(endless_mp3(3000), "x"))
        async with asyncio.timeout(QUICK):
            while len(pids := session_pids(child.pid)) < 2:
                await asyncio.sleep(0.005)
            asked.cancel()
            while any(Path(f"/proc/{pid}").exists() for pid in pids):
                await asyncio.sleep(0.01)
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not patient._idle


INSIDE = """
import io, os, resource, socket, sys
from chorus.speech import decoder
from chorus.speech.backends import audio
decoder._load()
files = sys.stdin.buffer.read().split(b"|and|")
told = os.dup(1)
os.getuid() or os.setuid(65534)  # root may have as many processes as it likes
decoder.shut_in()
os.close(0), os.close(1)  # their numbers are free now
openings = (socket.socket, lambda: os.open("/etc/hostname", 0), os.fork, lambda: bytearray(10**9))
for attempt in openings:
    try:
        attempt()
    except (OSError, MemoryError) as error:
        os.write(told, type(error).__name__.encode() + b" ")
os.write(told, b"%d" % (resource.getrlimit(resource.RLIMIT_CPU)[1] < 60))
for data in files:
    os.write(told, b" %.1f" % audio.read(data, "x", rate=16_000, max_seconds=9).seconds)
"""


def test_in_its_process_nothing_can_be_opened_or_started_and_all_is_decoded_all_the_same() -> None:
    files = [encoded(tone(0.5, rate=48_000), *CONTAINERS[name]) for name in ("voice message", "m4a", "flac")]
    told = subprocess.run(
        [sys.executable, "-c", INSIDE], input=b"|and|".join(files), capture_output=True, check=True
    ).stdout.split()
    assert told[:5] == [b"OSError", b"OSError", b"BlockingIOError", b"MemoryError", b"1"]
    assert [float(seconds) for seconds in told[5:]] == pytest.approx([0.5] * 3, abs=0.11)


TAKEN_OVER = """
import os, sys
from chorus.speech import decoder
from chorus.speech.voice.tasks import Done
real = decoder.answer
def answer(task, data, answers):
    if data != b"EVIL":
        return real(task, data, answers)
    forged = Done(seconds=1).packed(b"FORGED")
    for number in range(3, 64):  # whatever is open
        try:
            os.write(number, forged + b"\\n" + forged)
        except OSError:
            pass
decoder.answer = answer
sys.exit(decoder.main())
"""


async def test_a_file_that_takes_its_decoder_over_cannot_answer_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", TAKEN_OVER], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )

    monkeypatch.setattr(decoding, "_start", start)
    async with Decoders(max_seconds=20) as taken_over:
        assert (await taken_over.decode(b"EVIL", "x")).samples.startswith(b"FORGED")
        assert (await taken_over.decode(endless_mp3(1), "x")).seconds == pytest.approx(1, abs=0.1)
