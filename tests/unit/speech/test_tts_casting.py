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
        ("en", "espeak", ["espeak/en-us", "flite/rms/en", "gtts/en"]),
        (None, "piper", ["piper/de_DE-thorsten/de-de", "espeak/de"]),  # nor ours: it speaks its own
    ],
)
def test_a_wish_goes_first_and_others_stand_by(
    language: str | None, voice: str | None, expected: list[str]
) -> None:
    assert labels(language, voice) == expected


def test_where_a_wished_voice_is_no_longer_there_others_speak() -> None:
    assert labels(voice="piper/gone") == labels()
    assert labels("ru", "flite/gone") == labels("ru")


@pytest.mark.parametrize(("text", "first"), [("A “café” – 5 €", "flite/rms"), ("привет мир", "espeak")])
def test_who_has_no_letters_for_a_text_is_passed_over(text: str, first: str) -> None:
    assert cast(ALL, None, None, own="en-us", text=text)[0].voice.name == first


def test_what_no_voice_has_letters_for() -> None:
    with pytest.raises(InvalidInput) as error:
        cast([RMS, SLT], None, None, own="en-us", text="привет")
    assert error.value.code == "foreign_letters"


def test_an_unknown_language() -> None:
    with pytest.raises(InvalidInput) as error:
        labels("klingon")
    assert error.value.code == "unknown_language"
    assert "Of 5 there are, try: de, de-de, en, en-us, ru." in error.value.message
