"""Which voice speaks, and in which language."""

import pytest

from chorus.common.contracts.speech import Voice
from chorus.common.errors import InvalidInput
from chorus.speech.voice.casting import cast

RMS = Voice(name="flite/rms", engine="flite", languages=["en-us", "en"])
SLT = Voice(name="flite/slt", engine="flite", languages=["en-us", "en"])
THORSTEN = Voice(name="piper/de_DE-thorsten", engine="piper", languages=["de-de", "de"])
ESPEAK = Voice(name="espeak", engine="espeak", languages=["en-us", "de", "ru"])
GOOGLE = Voice(name="gtts", engine="gtts", languages=["en", "ru"])
ALL = [RMS, SLT, THORSTEN, ESPEAK, GOOGLE]


def labels(language: str | None = None, voice: str | None = None, own: str = "en-us") -> list[str]:
    return [role.label for role in cast(ALL, language, voice, own=own)]


@pytest.mark.parametrize(
    ("language", "voice", "expected"),
    [
        (None, None, ["flite/rms/en-us", "espeak/en-us", "gtts/en"]),
        ("ru-RU", None, ["espeak/ru", "gtts/ru"]),
        ("de_AT", None, ["piper/de_DE-thorsten/de", "espeak/de"]),
        (None, "flite/slt", ["flite/slt/en-us", "espeak/en-us", "gtts/en"]),
        (None, "GTTS", ["gtts/en", "flite/rms/en-us", "espeak/en-us"]),
        ("de", "flite/slt", ["piper/de_DE-thorsten/de", "espeak/de"]),  # it does not know the language
        (None, "piper", ["piper/de_DE-thorsten/de-de", "espeak/de"]),  # nor ours: it speaks its own
    ],
)
def test_a_wish_goes_first_and_others_stand_by(
    language: str | None, voice: str | None, expected: list[str]
) -> None:
    assert labels(language, voice) == expected


def test_an_unknown_voice_is_answered_with_near_ones() -> None:
    with pytest.raises(InvalidInput) as error:
        labels(voice="flite/rmz")
    assert error.value.code == "unknown_voice"
    assert "flite/rms" in error.value.message


def test_an_unknown_language() -> None:
    with pytest.raises(InvalidInput) as error:
        labels("klingon")
    assert error.value.code == "unknown_language"
