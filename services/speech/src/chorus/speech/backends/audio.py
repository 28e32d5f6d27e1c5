"""Audio files ↔ samples, with FFmpeg's libraries.

Files come from strangers: only formats and codecs on a list are opened, none that could name other files
or addresses (playlists do), and what does not end in time is not read to its end.
"""

from collections.abc import Iterator
from io import BytesIO

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError

from chorus.common.errors import InvalidInput, TooLarge
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

FORMATS = "aac,aiff,amr,caf,flac,matroska,mov,mp3,ogg,wav"
CODECS = (
    "aac", "alac", "amrnb", "amrwb", "flac", "libopus", "libvorbis", "mp3", "mp3float", "opus", "vorbis",
    "pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be",
    "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_u8",
)  # fmt: skip
OPTIONS = {"format_whitelist": FORMATS, "codec_whitelist": ",".join(CODECS), "protocol_whitelist": ""}

SLOWEST, FASTEST = 4_000, 384_000  # samples a second; beyond is no recording, but an attempt

OPUS_RATE, OPUS_BITS = 48_000, 32_000  # as Discord's own clients make voice messages


def read(data: bytes, filename: str, *, rate: int, max_seconds: float) -> Sound:
    """An audio file's first track as mono samples.

    Raises `InvalidInput` (`unreadable_audio`, `silence`), or `TooLarge` (`audio_too_long`).
    """
    samples = bytearray()
    try:
        with av.open(BytesIO(data), "r", options=OPTIONS) as container:
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
    for frame in container.decode(stream):
        if not SLOWEST <= frame.sample_rate <= FASTEST:
            raise ValueError("not a sample rate of recordings")
        seconds += frame.samples / frame.sample_rate
        if seconds > max_seconds:
            raise TooLarge(
                f"{filename} is longer than {max_seconds:.0f} s, the most that is heard. Send it in parts.",
                code="audio_too_long",
                param="audio",
            )
        yield frame


def _append(samples: bytearray, frames: list[AudioFrame]) -> None:
    for frame in frames:
        samples += bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]  # planes are padded


def write(sound: Sound) -> bytes:
    """The sound as OGG Opus; the same sound is always the same bytes."""
    file = BytesIO()
    whole = AudioFrame("s16", "mono", samples=len(sound.samples) // SAMPLE_BYTES)
    whole.planes[0].update(sound.samples)
    whole.sample_rate = sound.rate
    whole.pts = 0
    resampler = AudioResampler("s16", "mono", OPUS_RATE)
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono")
        stream.bit_rate = OPUS_BITS
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()
