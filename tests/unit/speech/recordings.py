"""Recordings made by hand, for tests: tones, and what is no recording at all."""

import io
import math
import struct
import wave

from chorus.speech.voice.sound import Sound


def tone(seconds: float, *, rate: int = 22_050, hertz: float = 220.0, height: int = 9000) -> Sound:
    """A plain tone."""
    count = int(seconds * rate)
    samples = (int(height * math.sin(2 * math.pi * hertz * at / rate)) for at in range(count))
    return Sound(struct.pack(f"<{count}h", *samples), rate)


def wav(sound: Sound, *, channels: int = 1) -> bytes:
    """The sound as a WAV file, the same in each channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(sound.rate)
        pairs = range(0, len(sound.samples), 2)
        out.writeframes(b"".join(sound.samples[at : at + 2] * channels for at in pairs))
    return file.getvalue()
