"""Tones as OGG Opus, made as the speech service makes what it says."""

import io
import math
from array import array

from discord.oggparse import OggStream

from chorus.speech.backends.audio import write
from chorus.speech.voice.sound import Sound

RATE = 16_000  # samples a second


def tone(pitch: int, seconds: float = 0.3, *, silent: float = 0.0) -> bytes:
    """A tone of so many hertz, after so many seconds of silence."""
    waves = [int(9000 * math.sin(2 * math.pi * pitch * i / RATE)) for i in range(int(RATE * seconds))]
    return write(Sound(array("h", [0] * int(RATE * silent) + waves).tobytes(), RATE))


def packets(ogg: bytes) -> list[bytes]:
    """Its packets of 20 ms."""
    return list(OggStream(io.BytesIO(ogg)).iter_packets())[2:]
