"""What is played in a voice channel: packets as they are, parts as they come, and files that need ffmpeg."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import discord
import pytest

from chorus.common.errors import ChorusError
from chorus.gateway.frontends.discord import sounds
from chorus.gateway.frontends.discord.sounds import Growing, Packets, playable
from tests.support.sounds import packets, tone
from tests.unit.speech import recordings
from tests.unit.speech.files import encoded

HIGH, LOW = tone(880), tone(220)
HALF = recordings.tone(0.5, rate=48_000)
FLAC, MP3 = (encoded(HALF, name, name) for name in ("flac", "mp3"))
SLOW = encoded(HALF, "ogg", "libopus", frame_duration="60")


def played(source: discord.AudioSource) -> list[bytes]:
    return list(iter(source.read, b""))


def code(name: str, recording: bytes) -> str:
    with pytest.raises(ChorusError) as error:
        playable(name, recording)
    assert error.value.message.startswith(name)
    return error.value.code


def test_a_voice_message_is_played_as_it_is() -> None:
    source = playable("hello.ogg", HIGH)
    assert isinstance(source, Packets)
    assert source.is_opus()
    assert played(source) == packets(HIGH)


def test_ten_minutes_are_played_however_many_packets_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "MOST_PLAYED", 0.1)
    assert played(playable("hello.ogg", HIGH)) == packets(HIGH)[:5]


def test_parts_are_played_one_after_the_other_with_silence_while_the_next_is_awaited() -> None:
    growing = Growing()
    growing.add(HIGH)
    assert [growing.read() for _ in packets(HIGH)] == packets(HIGH)
    assert growing.read() == discord.opus.OPUS_SILENCE
    growing.add(LOW)
    growing.end()
    assert played(growing) == packets(LOW)
    assert not growing.over
    growing.cleanup()
    assert growing.over


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("slow.ogg", SLOW),
        ("flac.ogg", encoded(HALF, "ogg", "flac")),
        ("a.flac", FLAC),
        ("a.mp3", MP3),
        ("broken.ogg", b"OggS" + bytes(300)),
    ],
)
def test_without_ffmpeg_it_is_said_what_is_missing(
    name: str, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert code(name, recording) == "ffmpeg_missing"


@pytest.mark.parametrize("recording", [b"", b"#EXTM3U\n", b"ffconcat version 1.0\n", b"v=0\no=- 0 0\n"])
def test_what_is_no_recording_never_gets_to_ffmpeg(recording: bytes) -> None:
    assert code("song.mp3", recording) == "unreadable_audio"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in ffmpeg's place."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sounds, "_has_opus", lambda: True)
    program = tmp_path / "ffmpeg"
    program.touch(0o755)
    return program


def test_ffmpeg_is_told_what_it_is_opens_nothing_else_and_knows_nothing(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = stand_in.with_name("called")
    stand_in.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} > {called}\nhead -c 7680 /dev/zero\n')
    monkeypatch.setenv("CHORUS_DISCORD_TOKEN", "of-nobody's-business")
    monkeypatch.setattr(sounds, "BOUNDS", ())
    source = playable("a.flac", FLAC)
    assert not source.is_opus()
    assert [len(pcm) for pcm in played(source)] == [3840, 3840]
    source.cleanup()
    told, *environment = called.read_text().splitlines()
    assert "-protocol_whitelist pipe,fd -codec_whitelist aac,flac," in told
    assert "-f flac -threads 1 -i - " in told
    assert not [line for line in environment if line.startswith("CHORUS_")]


def test_ffmpeg_has_bounds_and_is_ended_by_who_cleans_up(stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\nhead -c 3840 /dev/zero\nexec cat > /dev/null\n")
    source = playable("a.flac", FLAC)
    assert len(source.read()) == 3840
    process = source._ffmpeg._process  # type: ignore[attr-defined]
    for bound, most in sounds.BOUNDS:
        assert resource.prlimit(process.pid, bound) == (most, most)
    source.cleanup()
    assert process.wait(5) == -signal.SIGKILL


def test_where_ffmpeg_fails_that_is_told(stand_in: Path) -> None:
    stand_in.write_text("#!/bin/sh\ncat > /dev/null\nexit 3\n")
    source = playable("a.flac", FLAC)
    with pytest.raises(discord.ClientException, match="ended with 3"):
        source.read()
    source.cleanup()


@pytest.mark.system
def test_a_real_ffmpeg_makes_sound_of_it() -> None:
    subprocess.run(["apt-get", "install", "-y", "-qq", "ffmpeg", "libopus0"], check=True, capture_output=True)
    for recording in (MP3, FLAC, SLOW):
        source = playable("song", recording)
        pcm = played(source)
        source.cleanup()
        assert 23 <= len(pcm) <= 28, "half a second, 20 ms at a time"
        assert discord.opus.Encoder().encode(pcm[0], 960)
