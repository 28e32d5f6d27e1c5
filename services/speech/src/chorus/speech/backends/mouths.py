"""The engine that is asked for: what the others need is not imported."""

from chorus.speech.backends.installed import package
from chorus.speech.voice.mouths import Mouth, MouthOptions


def open_mouth(asked: MouthOptions) -> Mouth:
    """Load it. Raises `Misconfigured` where something is missing."""
    match asked.engine:
        case "espeak":
            from chorus.speech.backends.espeak import Espeak

            return Espeak()
        case "flite":
            from chorus.speech.backends.flite import Flite

            return Flite(asked.within)
        case "piper":
            from chorus.speech.backends.piper import Piper

            return Piper(asked.voices)
        case "gtts":
            package("gtts", "gtts", "gTTS", setting="CHORUS_TTS_ENGINES")
            from chorus.speech.backends.gtts import Gtts

            return Gtts(asked.endpoint, asked.within)
