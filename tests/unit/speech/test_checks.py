"""Whose recording, and how large; and whether there is anything in it."""

import pytest

from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import NotPermitted, TooLarge
from chorus.speech.voice.checks import check_recording
from chorus.speech.voice.sound import Sound
from tests.unit.speech.recordings import tone


def audio(key: str = "42/abc", bucket: str = "files", size: int = 10) -> ObjectRef:
    return ObjectRef(bucket=bucket, key=key, size=size, sha256="0" * 64)


def test_a_recording_of_ones_own() -> None:
    check_recording(audio(), "42", most=10)


@pytest.mark.parametrize(
    "other", [audio("43/abc"), audio("421/abc"), audio("42"), audio("42/../43/abc"), audio(bucket="models")]
)
def test_a_recording_of_another_guild(other: ObjectRef) -> None:
    with pytest.raises(NotPermitted) as error:
        check_recording(other, "42", most=10)
    assert error.value.code == "other_guild"


def test_a_recording_that_is_too_large() -> None:
    with pytest.raises(TooLarge) as error:
        check_recording(audio(size=11), "42", most=10)
    assert error.value.code == "audio_too_large"


def test_silence_is_told_from_sound() -> None:
    assert Sound(b"", 16_000).silent
    assert Sound(bytes(32_000), 16_000).silent
    assert tone(0.1, height=100).silent
    assert not tone(0.1, height=1000).silent


def test_seconds_are_counted_in_samples() -> None:
    assert tone(1.5).seconds == pytest.approx(1.5)
