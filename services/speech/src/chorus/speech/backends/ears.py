"""The engine that an engine's process holds. What it needs is imported now, and nothing of the others."""

from chorus.speech.voice.ears import Ear, EarOptions


def open_ear(options: EarOptions) -> Ear:
    """Load the engine. Raises `Misconfigured` where its package or its model is missing."""
    match options.engine:
        case "sphinx":
            from chorus.speech.backends.sphinx import Sphinx

            return Sphinx()
        case "google":
            from chorus.speech.backends.google import Google

            return Google(options.endpoint, options.within)
        case "whisper":
            from chorus.speech.backends.whisper import Whisper

            return Whisper(options.model)
        case "vosk":
            from chorus.speech.backends.vosk import Vosk

            return Vosk(options.model)
