"""Whisper, by faster-whisper, with the model in a folder of the operator's: many languages, and told apart.

The package is not among Chorus's own: it is imported where it is asked for. Nothing is downloaded.
"""

from collections.abc import Iterator
from importlib import import_module

from chorus.common.contracts.speech import AUTO
from chorus.speech.backends.installed import model_folder, package
from chorus.speech.voice.ears import Said
from chorus.speech.voice.sound import Sound

RATE = 16_000
LOUDEST = 32_768.0


class Whisper:
    """`voice.ears.Ear`: one model, loaded once and kept."""

    def __init__(self, folder: str) -> None:
        # It would fetch a tokenizer that is not there.
        model_folder("whisper", folder, holds=("model.bin", "tokenizer.json"))
        faster_whisper = package("whisper", "faster_whisper", "faster-whisper")
        self._numpy = import_module("numpy")  # which faster-whisper brings
        self._model = faster_whisper.WhisperModel(folder, device="auto", local_files_only=True)
        known: list[str] = self._model.supported_languages
        self.languages = [AUTO, *known] if len(known) > 1 else known

    def hear(self, sound: Sound, language: str) -> Iterator[Said]:
        """What is said, sentence by sentence; it cuts long recordings itself."""
        assert sound.rate == RATE
        samples = self._numpy.frombuffer(sound.samples, dtype="int16").astype("float32") / LOUDEST
        sentences, found = self._model.transcribe(samples, language=None if language == AUTO else language)
        text = ""
        for sentence in sentences:
            text = f"{text} {sentence.text.strip()}".strip()
            yield Said(text, found.language)
