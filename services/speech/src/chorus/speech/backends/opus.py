"""Samples → OGG Opus as Discord's own clients make it: mono, 48 kHz, 32 kbit/s. Without an ffmpeg binary."""

from io import BytesIO

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

RATE, BITS = 48_000, 32_000


class OggOpus:
    """A file that grows sentence by sentence: no more than one is held as samples.

    The same sounds are always the same bytes.
    """

    def __init__(self) -> None:
        self._file = BytesIO()
        self._container = av.open(self._file, "w", format="ogg", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream("libopus", rate=RATE, layout="mono")
        self._stream.bit_rate = BITS
        self._resampler = AudioResampler("s16", "mono", RATE)
        self._samples = 0
        self.seconds = 0.0

    def add(self, sound: Sound) -> None:
        """What is heard next; all sounds of a file have one rate."""
        if not (count := len(sound.samples) // SAMPLE_BYTES):
            return
        frame = AudioFrame("s16", "mono", samples=count)
        frame.planes[0].update(sound.samples)
        frame.sample_rate = sound.rate
        frame.pts = self._samples
        self._samples += count
        self.seconds += sound.seconds
        self._encode(self._resampler.resample(frame))

    def whole(self) -> bytes:
        """The file. Nothing can be added then."""
        if self._samples:
            self._encode(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()

    def _encode(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))
