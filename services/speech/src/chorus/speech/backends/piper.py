"""Piper: voices that sound like people, on a CPU. The operator brings its package and a folder of voices."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog

from chorus.common.contracts.guild import SPEAKER
from chorus.common.errors import InternalError, Misconfigured
from chorus.speech.backends.installed import package
from chorus.speech.voice.mouths import Who
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound

HELD = 4  # voices in memory, some 100 MB each

log = structlog.get_logger()


class Piper:
    """`voice.mouths.Mouth`. A voice is loaded when it first speaks."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self.voices = {_name(path): _languages(path) for path in _models(folder)}
        loader = package("piper", "piper", "piper-tts", setting="CHORUS_TTS_ENGINES").PiperVoice
        self._loaded = lru_cache(HELD)(loader.load)

    def speak(self, text: str, who: Who, *, max_seconds: float) -> Sound:
        """Say a sentence. It stops when that lasts longer than it may."""
        model: Any = self._loaded(str(self._folder / f"{who.voice.partition('/')[2]}.onnx"))
        samples, rate = bytearray(), 1
        for chunk in model.synthesize(text):
            if chunk.sample_channels != 1:
                raise InternalError(f"{who.voice} is no voice with one channel.", code="engine_failed")
            samples += chunk.audio_int16_bytes
            rate = chunk.sample_rate
            if len(samples) > max_seconds * rate * SAMPLE_BYTES:
                break
        return Sound(bytes(samples), rate)


def _models(folder: str) -> list[Path]:
    """The voices' files. Raises `Misconfigured` where there are none; what nobody could name is left out."""
    found = sorted(path for path in Path(folder).glob("*.onnx") if _about(path).is_file()) if folder else []
    if unfit := [path for path in found if not re.fullmatch(SPEAKER, _name(path))]:
        found = [path for path in found if path not in unfit]
        log.warning("voices are left out: rename them", files=[path.name for path in unfit], as_in=SPEAKER)
    if not found:
        raise Misconfigured(
            "CHORUS_PIPER_VOICES: this is no folder with voices for Piper (.onnx files, each with its "
            ".onnx.json). Name one, or take piper out of CHORUS_TTS_ENGINES."
        )
    return found


def _name(path: Path) -> str:
    return f"piper/{path.stem}"


def _about(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _languages(path: Path) -> list[str]:
    """`de-de`, and `de` for whoever asks for no more than that."""
    about = json.loads(_about(path).read_text("utf-8"))
    code = about["language"]["code"] if "language" in about else about["espeak"]["voice"]
    name = str(code).lower().replace("_", "-")
    return list(dict.fromkeys([name, name.split("-")[0]]))
