"""Flite, where the machine has it: small English voices that are easily understood.

It is a Debian package with a program; each sentence is one run of it, some hundredths of a second.
"""

import io
import shutil
import subprocess
import wave

from chorus.common.errors import InternalError, Misconfigured
from chorus.speech.voice.mouths import Who
from chorus.speech.voice.sound import Sound
from chorus.speech.voice.text import in_ascii

BEST = "rms"  # understood the best by recognisers
LANGUAGES = ["en-us", "en"]


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
        """Say a sentence, no longer than is asked for, as far as it can be written in ASCII."""
        plain, name = in_ascii(text), who.voice.partition("/")[2]
        with wave.open(io.BytesIO(self._run("-voice", name, "-t", plain, "-o", "/dev/stdout"))) as file:
            rate = file.getframerate()
            return Sound(file.readframes(int(max_seconds * rate) + 1), rate)

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
