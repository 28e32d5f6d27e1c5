"""What is said in a voice channel, as discord.py plays it: 20 ms at a time.

OGG Opus whose packets last 20 ms goes out as it is: nothing is decoded. Any other recording needs ffmpeg,
where the operator has installed it. A stranger has sent what it reads: so it is told what the file is, takes
none for a playlist, opens nothing but what it is handed, knows none of our settings, and has bounds.

What has been made here is cleaned up by who plays it, or else by who does not.
"""

import io
import re
import resource
import shutil
import subprocess
from collections import deque
from contextlib import suppress
from itertools import islice

import discord
from discord.oggparse import OggError, OggStream

from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, Unavailable
from chorus.common.settings import bare_environment

PACKET = 20.0  # ms, as discord.py sends them
MOST_PLAYED = 600  # seconds of a recording
ENDS_WITHIN = 2.0  # seconds after its last sound
BEGINNINGS = (
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "wav"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),
    (re.compile(rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfd]"), "mp3"),
)
"""How files begin that can be read from a pipe, and what ffmpeg calls each of them."""
CODECS = (
    "aac", "flac", "libopus", "libvorbis", "mp3", "mp3float", "opus", "vorbis",
    "pcm_alaw", "pcm_f32le", "pcm_mulaw", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8",
)  # fmt: skip
BOUNDS = (
    (resource.RLIMIT_AS, 2048 * MIB),  # addresses, not memory: a thread alone takes 128 MiB of them
    (resource.RLIMIT_CPU, 60),  # seconds: ten minutes of sound need about three
    (resource.RLIMIT_FSIZE, 0),  # bytes that it may write into a file
)
"""Of ffmpeg."""


class Packets(discord.AudioSource):
    """OGG Opus, packet by packet, as far as it is played. Raises `OggError` for what is none."""

    def __init__(self, ogg: bytes) -> None:
        packets = OggStream(io.BytesIO(ogg)).iter_packets()
        self.head = next(packets, b"")
        next(packets, b"")  # OpusTags
        self._packets = islice(packets, int(MOST_PLAYED * 1000 / PACKET))

    def read(self) -> bytes:
        """The next 20 ms; empty at the end."""
        return next(self._packets, b"")

    def is_opus(self) -> bool:
        """Nothing is to be encoded."""
        return True


class Growing(discord.AudioSource):
    """OGG Opus in several files, one after the other, played while later ones are still being made.

    It is added to in the event loop, and read in the thread that plays it.
    """

    def __init__(self) -> None:
        self._parts: deque[Packets] = deque()
        self._is_whole = False
        self.over = False
        """Whether it is heard no more: at its end, or because somebody wanted that."""

    def add(self, ogg: bytes) -> None:
        """What comes next."""
        self._parts.append(Packets(ogg))

    def end(self) -> None:
        """Nothing comes any more."""
        self._is_whole = True

    def read(self) -> bytes:
        """The next 20 ms; silence while the next part is awaited."""
        ends = self._is_whole  # looked at first: what was added before it is then there
        while self._parts:
            if packet := self._parts[0].read():
                return packet
            self._parts.popleft()
        return b"" if ends else discord.opus.OPUS_SILENCE

    def is_opus(self) -> bool:
        """Nothing is to be encoded."""
        return True

    def cleanup(self) -> None:
        """It has been played, or broken off."""
        self.over = True


class Decoded(discord.AudioSource):
    """A recording as ffmpeg decodes it, which is started when its turn has come: with the first 20 ms."""

    def __init__(self, recording: bytes, container: str) -> None:
        self._recording = recording
        self._container = container
        self._ffmpeg: _Ffmpeg | None = None

    def read(self) -> bytes:
        """The next 20 ms. Raises `DiscordException`, `OSError` where ffmpeg cannot be started, or fails."""
        if self._ffmpeg is None:
            self._ffmpeg = _Ffmpeg(self._recording, self._container)
            self._ffmpeg.set_bounds()
        return self._ffmpeg.read()

    def cleanup(self) -> None:
        """End ffmpeg."""
        if self._ffmpeg:
            self._ffmpeg.cleanup()


class _Ffmpeg(discord.FFmpegAudio):
    """The process."""

    def __init__(self, recording: bytes, container: str) -> None:
        read = f"-protocol_whitelist pipe,fd -codec_whitelist {','.join(CODECS)} -f {container} -threads 1"
        written = f"-vn -t {MOST_PLAYED} -f s16le -ar 48000 -ac 2"
        super().__init__(
            io.BytesIO(recording),
            args=f"-loglevel quiet -max_alloc {64 * MIB} {read} -i - {written} pipe:1".split(),
            stdin=subprocess.PIPE,
            env=bare_environment(),
        )

    def set_bounds(self) -> None:
        """Give it no more than what it needs. Raises `OSError`."""
        with suppress(ProcessLookupError):  # it has ended: why is told when it is read
            for bound, most in BOUNDS:
                resource.prlimit(self._process.pid, bound, (most, most))

    def read(self) -> bytes:
        """20 ms; what is left at the end is shorter, and left out."""
        pcm = self._stdout.read(discord.opus.Encoder.FRAME_SIZE)
        if len(pcm) == discord.opus.Encoder.FRAME_SIZE:
            return pcm
        if code := self._process.wait(ENDS_WITHIN):
            raise discord.ClientException(f"ffmpeg ended with {code}")
        return b""


def playable(name: str, recording: bytes) -> discord.AudioSource:
    """A person's recording, to be played; reads all of it.

    Raises `InvalidInput` for what is no recording, `Unavailable` where ffmpeg or libopus would be needed.
    """
    if _is_ready(recording):
        return Packets(recording)
    container = next((kind for beginning, kind in BEGINNINGS if beginning.match(recording)), None)
    if container is None:
        raise InvalidInput(
            f"{name} is no recording that can be played: send OGG, MP3, WAV, WebM or FLAC.",
            code="unreadable_audio",
            param="file",
        )
    if shutil.which("ffmpeg") is None or not _has_opus():
        raise Unavailable(
            f"{name} is not Opus as voice messages have it, and for all else the operator has to install "
            "ffmpeg and libopus. Send it as a voice message.",
            code="ffmpeg_missing",
        )
    return Decoded(recording, container)


def _is_ready(recording: bytes) -> bool:
    """Whether it is OGG Opus, of one or two channels, and each packet lasts 20 ms."""
    try:
        packets = Packets(recording)
        if not packets.head.startswith(b"OpusHead") or packets.head[18:19] != b"\0":
            return False
        lengths = {_milliseconds(packet) for packet in iter(packets.read, b"")}
    except OggError:
        return False
    return lengths == {PACKET}


def _milliseconds(packet: bytes) -> float:
    """How long a packet of Opus lasts, as its first bytes say (RFC 6716, 3.1 and 3.2)."""
    kind, code = packet[0] >> 3, packet[0] & 3
    if kind < 12:
        each = (10.0, 20.0, 40.0, 60.0)[kind & 3]
    elif kind < 16:
        each = (10.0, 20.0)[kind & 1]
    else:
        each = (2.5, 5.0, 10.0, 20.0)[kind & 3]
    frames = 1 if code == 0 else 2 if code < 3 else int.from_bytes(packet[1:2]) & 63
    return each * frames


def _has_opus() -> bool:
    """Whether there is a libopus, with which discord.py encodes."""
    try:
        discord.opus.Encoder.get_opus_version()
    except discord.opus.OpusNotLoaded:
        return False
    return True
