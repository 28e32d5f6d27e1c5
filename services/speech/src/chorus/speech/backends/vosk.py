"""Vosk, with the model in a folder of the operator's: one language, small models, no network.

The package is not among Chorus's own: it is imported where it is asked for. SpeechRecognition would load the
model for each call; it is held here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from chorus.speech.backends.installed import model_folder, package
from chorus.speech.voice.ears import Said
from chorus.speech.voice.languages import ANY
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

STEP = 0.5  # seconds of sound that it is given at a time

NAMED = re.compile(r"vosk-model(?:-small|-big)?-(?P<language>[a-z]{2}(?:-[a-z]{2})?)\b")
"""How its makers name their models: `vosk-model-small-en-us-0.15`, `vosk-model-ru-0.42`."""


class Vosk:
    """`voice.ears.Ear`: one model, loaded once and kept."""

    def __init__(self, folder: str) -> None:
        model_folder("vosk", folder, holds=("am", "conf"))
        self._vosk = package("vosk", "vosk", "vosk")
        self._vosk.SetLogLevel(-1)
        self._model = self._vosk.Model(folder)
        named = NAMED.match(Path(folder).resolve().name)
        self.languages = [named["language"] if named else ANY]

    def hear(self, sound: Sound, language: str) -> Iterator[Said]:
        """What is said, utterance by utterance; it cuts long recordings itself."""
        recogniser = self._vosk.KaldiRecognizer(self._model, sound.rate)
        step = int(STEP * sound.rate) * SAMPLE_BYTES
        text = ""
        for at in range(0, len(sound.samples), step):
            if recogniser.AcceptWaveform(sound.samples[at : at + step]):
                text = _with(text, recogniser.Result())
                yield Said(text, language)
        yield Said(_with(text, recogniser.FinalResult()), language)


def _with(text: str, result: str) -> str:
    return f"{text} {json.loads(result)['text']}".strip()
