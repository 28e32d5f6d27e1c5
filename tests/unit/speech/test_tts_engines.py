"""Engines that speak, one by one: the program's, the operator's, and Google's over the network."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from chorus.common.errors import ChorusError, Misconfigured, TimedOut, Unavailable
from chorus.speech.backends.flite import Flite
from chorus.speech.backends.gtts import Gtts
from chorus.speech.backends.opus import OggOpus
from chorus.speech.backends.piper import Piper
from chorus.speech.settings import SpeechSettings
from chorus.speech.voice.mouths import Who, mouths_of
from tests.support.google_hearing import PATH, out_of_reach
from tests.support.google_speaking import SECONDS, GoogleSpeaking, google_speaking
from tests.unit.speech.recordings import tone, wav

ENGLISH = Who("gtts", "en")


# --- Google --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def server() -> Iterator[GoogleSpeaking]:
    with google_speaking() as running:
        yield running


@pytest.fixture
def google(server: GoogleSpeaking) -> GoogleSpeaking:
    server.says, server.asked, server.retry_after = ["sound"], [], None
    return server


def ask(google: GoogleSpeaking, text: str = "Hello there.", *, within: float = 2.5) -> float:
    return Gtts(google.url, within).speak(text, ENGLISH, max_seconds=5).seconds


def test_google_is_asked_as_gtts_asks(google: GoogleSpeaking) -> None:
    assert ask(google) == pytest.approx(SECONDS, abs=0.1)
    assert google.asked == [("Hello there.", "en")]


def test_a_long_sentence_is_asked_for_in_parts(google: GoogleSpeaking) -> None:
    assert ask(google, "one two three " * 12) == pytest.approx(2 * SECONDS, abs=0.2)
    assert all(len(text) <= 100 for text, _ in google.asked)


def test_what_is_cut_off_is_asked_for_once_more(google: GoogleSpeaking) -> None:
    google.says = ["cut", "sound"]
    assert ask(google) == pytest.approx(SECONDS, abs=0.1)
    assert len(google.asked) == 2


@pytest.mark.parametrize(
    ("says", "code", "told"),
    [
        ("429", "engine_busy", "Google has had too many requests from here"),
        ("403", "engine_refused", "Google refuses us"),
        ("500", "engine_failed", "the status 500"),
        ("nothing", "engine_failed", "no sound"),
        ("noise", "engine_failed", "no sound"),
        ("cut", "engine_unreachable", "cannot be reached"),
    ],
)
def test_what_google_does_wrong_is_explained(google: GoogleSpeaking, says: str, code: str, told: str) -> None:
    google.says = [says]
    with pytest.raises(Unavailable) as error:
        ask(google)
    assert (error.value.code, told in error.value.message) == (code, True)


def test_how_long_google_wants_us_to_stay_away_is_told_on(google: GoogleSpeaking) -> None:
    google.says, google.retry_after = ["429"], "120"
    with pytest.raises(Unavailable) as error:
        ask(google)
    assert error.value.retry_after == 120


def test_who_takes_no_connection_is_not_waited_for() -> None:
    with out_of_reach() as endpoint, pytest.raises(Unavailable) as error:
        Gtts(endpoint.removesuffix(PATH), 0.3).speak("Hello", ENGLISH, max_seconds=5)
    assert error.value.code == "engine_unreachable"
    assert "CHORUS_TTS_ENGINES" in error.value.message


def test_nobody_waits_long_for_google(google: GoogleSpeaking) -> None:
    google.says = ["silence"]
    began = time.monotonic()
    with pytest.raises(TimedOut):
        ask(google, within=0.3)
    assert time.monotonic() - began < 2


def test_without_a_network(google: GoogleSpeaking) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable) as error:
            Gtts(f"http://127.0.0.1:{unused.getsockname()[1]}", 2.5).speak("Hi", ENGLISH, max_seconds=5)
    assert error.value.code == "engine_unreachable"


def test_what_is_too_long_or_has_no_words_is_no_failure_of_googles(google: GoogleSpeaking) -> None:
    long = Gtts(google.url, 2.5).speak("one two three " * 12, ENGLISH, max_seconds=0.2)
    assert long.seconds > 0.2
    assert len(google.asked) == 1, "nothing more is asked for"
    google.asked.clear()
    assert ask(google, "...") == 0
    assert not google.asked


# --- flite ---------------------------------------------------------------------------------------
@pytest.fixture
def flite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that answers as flite does, and keeps what it was asked."""
    (tmp_path / "sound.wav").write_bytes(wav(tone(0.5, rate=16_000)))
    program = tmp_path / "flite"
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -lv ] && echo "Voices available: kal awb_time kal16 awb rms slt " && exit\n'
        f"printf '%s\\n' \"$@\" > {tmp_path}/asked\n"
        f"cat {tmp_path}/sound.wav\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_flites_voices_are_those_that_are_installed(flite: Path) -> None:
    voices = Flite(5).voices
    assert list(voices) == ["flite/rms", "flite/kal", "flite/kal16", "flite/awb", "flite/slt"]
    assert voices["flite/rms"][0] == "en-us"


def test_flite_is_asked_with_a_voice_and_plain_letters(flite: Path) -> None:
    sound = Flite(5).speak("-v It’s a café", Who("flite/slt", "en-us"), max_seconds=5)
    assert sound.seconds == pytest.approx(0.5)
    assert (flite / "asked").read_text().split("\n")[:4] == ["-voice", "slt", "-t", "-v It's a cafe"]
    assert 0.2 < Flite(5).speak("long", Who("flite/slt", "en-us"), max_seconds=0.2).seconds < 0.3


def test_without_flite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="apt install flite"):
        Flite(5)


# --- Piper ---------------------------------------------------------------------------------------
@pytest.fixture
def piper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of voices, and a package that has Piper's interface."""
    for name, about in {
        "de_DE-thorsten": {"language": {"code": "de_DE"}},
        "old": {"espeak": {"voice": "en-us"}},
    }.items():
        (tmp_path / f"{name}.onnx").touch()
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(about))
    chunk = SimpleNamespace(
        audio_int16_bytes=tone(0.5, rate=22_050).samples, sample_rate=22_050, sample_channels=1
    )
    package = ModuleType("piper")
    loaded = SimpleNamespace(synthesize=lambda text: [chunk for _ in text.split()])
    package.PiperVoice = SimpleNamespace(load=lambda path: loaded)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "piper", package)
    return tmp_path


def test_pipers_voices_speak_the_languages_they_are_made_for(piper: Path) -> None:
    engine = Piper(str(piper))
    assert engine.voices == {"piper/de_DE-thorsten": ["de-de", "de"], "piper/old": ["en-us", "en"]}
    who = Who("piper/de_DE-thorsten", "de")
    assert engine.speak("Guten Tag", who, max_seconds=5).seconds == pytest.approx(1.0)
    assert engine.speak("eins zwei drei vier", who, max_seconds=1.2).seconds == pytest.approx(1.5)


@pytest.mark.parametrize("name", ["my voice", "é" * 60])
def test_a_voice_that_nobody_could_choose_is_left_out(piper: Path, name: str) -> None:
    (piper / f"{name}.onnx").touch()
    (piper / f"{name}.onnx.json").write_text(json.dumps({"language": {"code": "de_DE"}}))
    assert list(Piper(str(piper)).voices) == ["piper/de_DE-thorsten", "piper/old"]


@pytest.mark.parametrize("folder", ["", "/nowhere"])
def test_piper_without_voices(folder: str) -> None:
    with pytest.raises(Misconfigured, match="CHORUS_PIPER_VOICES"):
        Piper(folder)


def test_piper_without_its_package(piper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(Misconfigured, match="pip install piper-tts"):
        Piper(str(piper))


# --- all of them ---------------------------------------------------------------------------------
def test_engines_are_tried_in_the_order_of_the_setting() -> None:
    settings = SpeechSettings(tts_engines="gtts,espeak,gtts", gtts_endpoint="http://127.0.0.1:9")
    assert [(mouth.engine, mouth.endpoint) for mouth in mouths_of(settings)] == [
        ("gtts", "http://127.0.0.1:9"),
        ("espeak", ""),
    ]


@pytest.mark.parametrize("wrong", ["", "siri", "espeak,", "espeak, gtts"])
def test_engines_that_there_are_not(wrong: str) -> None:
    with pytest.raises(ValueError, match="tts_engines"):
        SpeechSettings(tts_engines=wrong)


def test_sentences_become_one_file_with_the_same_bytes_each_time() -> None:
    def whole() -> tuple[bytes, float]:
        file = OggOpus()
        for hertz in (220.0, 440.0):
            file.add(tone(0.5, hertz=hertz))
        return file.whole(), file.seconds

    (first, seconds), (second, _) = whole(), whole()
    assert first == second
    assert first[:4] == b"OggS"
    assert seconds == pytest.approx(1.0)


def test_a_failure_has_a_code_and_a_sentence(google: GoogleSpeaking) -> None:
    google.says = ["429"]
    with pytest.raises(ChorusError) as error:
        ask(google)
    assert error.value.message.endswith(".")
