"""Engines whose package and model the operator brings: held in memory, and missed with one clear sentence."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from chorus.common.errors import Misconfigured
from chorus.speech.backends.ears import open_ear
from chorus.speech.backends.listening import ListenerProcess
from chorus.speech.voice.ears import EarOptions, Engine
from tests.unit.speech.recordings import tone

SOUND = tone(1.2, rate=16_000)
PACKAGES: dict[Engine, str] = {"whisper": "faster_whisper", "vosk": "vosk"}


@pytest.fixture
def folders(tmp_path: Path) -> dict[Engine, str]:
    """What looks like a model of each."""
    whisper, vosk = tmp_path / "whisper", tmp_path / "vosk-model-small-ru-0.22"
    for folder in (whisper, vosk / "am", vosk / "conf"):
        folder.mkdir(parents=True)
    for name in ("model.bin", "tokenizer.json"):
        (whisper / name).touch()
    return {"whisper": str(whisper), "vosk": str(vosk)}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that behave as the real ones do; the models that were loaded."""
    models: list[str] = []

    class WhisperModel:
        supported_languages = ("en", "ru")

        def __init__(self, folder: str, **options: Any) -> None:
            assert options["local_files_only"], "nothing is downloaded"
            models.append(folder)

        def transcribe(self, samples: Any, language: str | None) -> tuple[Iterator[Any], Any]:
            assert (samples.dtype.name, len(samples)) == ("float32", 19_200)
            assert 0.2 < abs(samples).max() <= 1
            parts = (SimpleNamespace(text=f" {word}") for word in ("We sail", "at dawn."))
            return parts, SimpleNamespace(language=language or "en")

    class KaldiRecognizer:
        def __init__(self, model: str, rate: int) -> None:
            assert (model, rate) == (models[-1], 16_000)
            self.given = 0

        def AcceptWaveform(self, data: bytes) -> bool:  # noqa: N802
            self.given += len(data)
            return self.given == 16_000

        def Result(self) -> str:  # noqa: N802
            return json.dumps({"text": "мы идём"})

        def FinalResult(self) -> str:  # noqa: N802
            return json.dumps({"text": "на рассвете"})

    def model(folder: str) -> str:
        models.append(folder)
        return folder

    whisper, vosk = ModuleType("faster_whisper"), ModuleType("vosk")
    whisper.__dict__["WhisperModel"] = WhisperModel
    vosk.__dict__.update(SetLogLevel=lambda _: None, Model=model, KaldiRecognizer=KaldiRecognizer)
    monkeypatch.setitem(sys.modules, "faster_whisper", whisper)
    monkeypatch.setitem(sys.modules, "vosk", vosk)
    return models


def options(engine: Engine, folder: str) -> EarOptions:
    return EarOptions(engine=engine, within=5, model=folder)


def test_whisper_hears_in_parts_and_finds_the_language(folders: dict[Engine, str], loaded: list[str]) -> None:
    ear = open_ear(options("whisper", folders["whisper"]))
    assert ear.languages == ["auto", "en", "ru"]
    assert list(ear.hear(SOUND, "auto")) == [("We sail", "en"), ("We sail at dawn.", "en")]
    assert list(ear.hear(SOUND, "ru"))[-1] == ("We sail at dawn.", "ru")
    assert loaded == [folders["whisper"]], "once, and not for each recording"


def test_vosk_hears_in_parts_the_language_of_its_model(folders: dict[Engine, str], loaded: list[str]) -> None:
    ear = open_ear(options("vosk", folders["vosk"]))
    assert ear.languages == ["ru"]
    for _ in range(2):
        assert list(ear.hear(SOUND, "ru")) == [("мы идём", "ru"), ("мы идём на рассвете", "ru")]
    assert loaded == [folders["vosk"]], "once, and not for each recording"


@pytest.mark.parametrize("engine", ["whisper", "vosk"])
def test_a_package_that_is_not_there(
    folders: dict[Engine, str], monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[engine], None)
    with pytest.raises(Misconfigured) as error:
        open_ear(options(engine, folders[engine]))
    assert f"{engine} needs the package" in error.value.message


@pytest.mark.parametrize("engine", ["whisper", "vosk"])
def test_a_folder_without_a_model(loaded: list[str], tmp_path: Path, engine: Engine) -> None:
    for folder, why in (("", "no folder"), (str(tmp_path), "it has no ")):
        with pytest.raises(Misconfigured) as error:
            open_ear(options(engine, folder))
        assert error.value.message.startswith(f"CHORUS_{engine.upper()}_MODEL: ")
        assert why in error.value.message
    assert not loaded


async def test_the_process_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as error:
        async with ListenerProcess(options("vosk", str(tmp_path))):
            pass
    assert error.value.message.startswith("CHORUS_VOSK_MODEL: ")
