"""Files of strangers become samples, or one clear error; samples become OGG Opus."""

import struct
from itertools import pairwise
from pathlib import Path

import pytest

from chorus.common.errors import ChorusError, InvalidInput, TooLarge
from chorus.speech.backends import audio
from chorus.speech.voice.sound import Sound
from tests.unit.speech.files import BROKEN, CONTAINERS, encoded, endless_mp3, naming
from tests.unit.speech.recordings import tone, wav

RATE = 16_000


def read(data: bytes, *, max_seconds: float = 5.0) -> Sound:
    return audio.read(data, "recording", rate=RATE, max_seconds=max_seconds)


def test_what_is_written_can_be_read_again() -> None:
    sound = tone(1.3)
    data = audio.write(sound)
    assert data[:4] == b"OggS"
    assert b"OpusHead" in data[:64]
    assert len(data) < 10_000
    again = read(data)
    assert again.rate == RATE
    assert again.seconds == pytest.approx(sound.seconds, abs=0.02)


def test_the_same_sound_is_the_same_bytes() -> None:
    assert audio.write(tone(0.4)) == audio.write(tone(0.4))


def test_the_pitch_survives() -> None:
    samples = struct.unpack(f"<{RATE}h", read(audio.write(tone(1.0, hertz=440.0))).samples[: RATE * 2])
    crossings = sum(a < 0 <= b for a, b in pairwise(samples))
    assert crossings == pytest.approx(440, abs=6)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_number_of_channels(rate: int, channels: int) -> None:
    assert read(wav(tone(0.5, rate=rate), channels=channels)).seconds == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("rate", "channels"), [(384_000, 2), (192_000, 4), (96_000, 8)])
def test_what_has_far_more_samples_than_recordings_have(rate: int, channels: int) -> None:
    assert read(wav(tone(0.1, rate=rate // 2), channels=channels)).seconds
    with pytest.raises(InvalidInput) as error:
        read(wav(tone(0.1, rate=rate), channels=channels))
    assert error.value.code == "unreadable_audio"


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_common_container(name: str) -> None:
    data = encoded(tone(0.5, rate=48_000), *CONTAINERS[name])
    assert read(data).seconds == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_recording(data: bytes) -> None:
    with pytest.raises(InvalidInput) as error:
        read(data)
    assert error.value.code == "unreadable_audio"
    assert "recording is no recording that can be read" in error.value.message


def test_a_playlist_reaches_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(tone(0.5)))
    for name, data in naming(secret.as_uri()).items():
        with pytest.raises(InvalidInput) as error:
            read(data)
        assert error.value.code == "unreadable_audio", name


@pytest.mark.parametrize("step", [3, 41, 97])
def test_bytes_that_were_changed_on_the_way_never_crash(step: int) -> None:
    for whole in (audio.write(tone(0.6)), wav(tone(0.2))):
        data = bytearray(whole)
        for at in range(step, len(data), step * 7):
            data[at] ^= 0xA5
        try:
            read(bytes(data))
        except ChorusError as error:
            assert error.code in ("unreadable_audio", "silence", "audio_too_long")


def test_one_mp3_behind_another_is_read_to_the_end_of_the_last() -> None:
    assert read(endless_mp3(4)).seconds == pytest.approx(4.0, abs=0.2)  # each ends with whole frames


def test_what_is_mostly_damaged_is_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MOST_DAMAGED", 2)
    with pytest.raises(InvalidInput) as error:
        read(endless_mp3(4))
    assert error.value.code == "unreadable_audio"


def test_silence() -> None:
    with pytest.raises(InvalidInput) as error:
        read(wav(Sound(bytes(40_000), 16_000)))
    assert error.value.code == "silence"


def test_what_is_too_long_is_not_read_to_its_end() -> None:
    with pytest.raises(TooLarge) as error:
        read(wav(tone(3.0)), max_seconds=2.0)
    assert error.value.code == "audio_too_long"
