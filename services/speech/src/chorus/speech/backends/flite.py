"""Flite, where the machine has it: small English voices that are easily understood.

It is a Debian package with a program; each sentence is one run of it, some hundredths of a second.
"""

import io
import shutil
import subprocess
import unicodedata
import wave

from chorus.common.errors import InternalError, Misconfigured, TooLarge
from chorus.speech.voice.mouths import Who
from chorus.speech.voice.sound import Sound

BEST = "rms"  # understood the best by recognisers
LANGUAGES = ["en-us", "en"]
QUOTES = str.maketrans("‘’“”–—", "''\"\"--")


def installed() -> bool:
    """Whether the machine has it."""
    return shutil.which("flite") is not None


class Flite:
    """`voice.mouths.Mouth`."""

    def __init__(self, within: float) -> None:
        if not installed():
            raise Misconfigured("CHORUS_TTS_ENGINES: flite is not installed. `apt install flite` brings it.")
        self._within = within
        listed = self._run("-lv").decode().partition(":")[2].split()
        names = sorted((name for name in listed if "time" not in name), key=lambda name: name != BEST)
        self.voices = {f"flite/{name}": LANGUAGES for name in names}

    def speak(self, text: str, who: Who, *, max_seconds: float) -> Sound:
        """Say a sentence; it has no other letters than those of ASCII."""
        plain = unicodedata.normalize("NFKD", text.translate(QUOTES)).encode("ascii", "ignore").decode()
        name = who.voice.partition("/")[2]
        with wave.open(io.BytesIO(self._run("-voice", name, "-t", plain, "-o", "/dev/stdout"))) as file:
            sound = Sound(file.readframes(file.getnframes()), file.getframerate())
        if sound.seconds > max_seconds:
            raise TooLarge(
                f"This would take longer than {max_seconds:.0f} s to say. Say it in parts.",
                code="speech_too_long",
                param="text",
            )
        return sound

    def _run(self, *arguments: str) -> bytes:
        try:
            ran = subprocess.run(
                ["flite", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._within,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise InternalError("flite broke down over this.", code="engine_failed") from error
        return ran.stdout
