"""Audio files ↔ samples, with FFmpeg's libraries.

Files come from strangers. What a file is, its first bytes say, and it is opened as nothing else: no format is
guessed that could name other files or addresses, as playlists do. Only codecs on a list are opened, and what
does not end in time is not read to its end. All the same, this is for a process of its own
(`chorus.speech.decoder`).
"""

from collections.abc import Iterator
from io import BytesIO

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from chorus.common.errors import InvalidInput, TooLarge
from chorus.speech.backends.opus import OggOpus
from chorus.speech.voice.sniffing import container_of
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

CODECS = (
    "aac", "alac", "amrnb", "amrwb", "flac", "libopus", "libvorbis", "mp3", "mp3float", "opus", "vorbis",
    "pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be",
    "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_u8",
)  # fmt: skip
OPTIONS = {"codec_whitelist": ",".join(CODECS), "protocol_whitelist": ""}

SLOWEST = 4_000  # samples a second; beyond these is no recording, but an attempt
FASTEST = 384_000  # in all channels: 8 with 48 kHz, or 2 with 192 kHz
MOST_CHANNELS = 8
MOST_DAMAGED = 200  # packets; whoever puts one MP3 behind another has one in each


def read(data: bytes, filename: str, *, rate: int, max_seconds: float) -> Sound:
    """An audio file's first track as mono samples.

    Raises `InvalidInput` (`unreadable_audio`, `silence`), or `TooLarge` (`audio_too_long`).
    """
    samples = bytearray()
    try:
        if (name := container_of(data)) is None:
            raise ValueError("no format that is known")
        options = {**OPTIONS, "format_whitelist": name}
        with av.open(BytesIO(data), "r", format=name, options=options) as container:
            resampler = AudioResampler("s16", "mono", rate)
            for frame in _frames(container, filename, max_seconds):
                _append(samples, resampler.resample(frame))
            _append(samples, resampler.resample(None) if samples else [])
    except (FFmpegError, ValueError) as error:
        raise InvalidInput(
            f"{filename} is no recording that can be read. Send OGG, MP3, M4A, WAV, FLAC or WebM.",
            code="unreadable_audio",
            param="audio",
        ) from error
    sound = Sound(bytes(samples), rate)
    if sound.silent:
        raise InvalidInput(f"There is nothing to hear in {filename}: it is silent.", code="silence")
    return sound


def _frames(container: InputContainer, filename: str, max_seconds: float) -> Iterator[AudioFrame]:
    """The first track's frames, as long as they are not too many."""
    if not container.streams.audio:
        raise ValueError("no audio track")
    stream = container.streams.audio[0]
    if stream.codec_context.name not in CODECS:
        raise ValueError("a codec that is not on the list")
    seconds = 0.0
    for frame in _decoded(container, stream):
        if not SLOWEST <= frame.sample_rate <= FASTEST / frame.layout.nb_channels:
            raise ValueError("not a sample rate of recordings")
        if frame.layout.nb_channels > MOST_CHANNELS:
            raise ValueError("more channels than recordings have")
        seconds += frame.samples / frame.sample_rate
        if seconds > max_seconds:
            raise TooLarge(
                f"{filename} is longer than {max_seconds:.0f} s, the most that is heard. Send it in parts.",
                code="audio_too_long",
                param="audio",
            )
        yield frame


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """The track's frames without those that are damaged, as players do it.

    Raises the decoder's own error where too much is damaged, or all.
    """
    damaged, whole = 0, False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except InvalidDataError:
            damaged += 1
            if damaged > MOST_DAMAGED:
                raise
            continue
        whole = whole or bool(frames)
        yield from frames
    if damaged and not whole:
        raise ValueError("nothing in it that can be decoded")


def _append(samples: bytearray, frames: list[AudioFrame]) -> None:
    for frame in frames:
        samples += bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]  # planes are padded


def write(sound: Sound) -> bytes:
    """The sound as OGG Opus; the same sound is always the same bytes."""
    file = OggOpus()
    file.add(sound)
    return file.whole()
