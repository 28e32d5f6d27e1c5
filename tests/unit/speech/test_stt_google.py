"""Google's recogniser, asked as it wants to be asked, at a stand-in; and every way in which it fails."""

import pytest

from chorus.common.errors import ChorusError, InvalidInput, TimedOut, Unavailable
from chorus.speech.backends.google import Google
from chorus.speech.voice.sound import Sound
from tests.support.google_hearing import CUT, EMPTY, HALF, HANG, Answer, google_double, heard
from tests.unit.speech.recordings import tone


@pytest.fixture(scope="module")
def short() -> Sound:
    return tone(0.5, rate=16_000)


def test_it_is_asked_in_the_language_and_its_best_answer_is_taken(short: Sound) -> None:
    with google_double(heard("привет мир")) as double:
        said = list(Google(double.endpoint, 5).hear(short, "ru-RU"))
    assert [(one.text, one.language) for one in said] == [("привет мир", "ru-RU")]
    assert [(one.language, one.seconds) for one in double.asked] == [("ru-RU", 0.5)]


def test_over_a_minute_goes_in_pieces_whose_words_are_joined() -> None:
    answers = [heard("we sail at dawn"), heard("at dawn with the tide"), heard("the tide and home")]
    with google_double(*answers) as double:
        said = list(Google(double.endpoint, 5).hear(tone(70.0, rate=16_000), "en-US"))
    assert said[-1].text == "we sail at dawn with the tide and home"
    assert [one.text for one in said][:2] == ["we sail at dawn", "we sail at dawn with the tide"]
    assert [one.seconds for one in double.asked] == [30.0, 30.0, 14.0]


@pytest.mark.parametrize("nothing", [EMPTY, "", '{"result":[{"alternative":[],"final":true}]}'])
def test_no_words_are_no_failure(short: Sound, nothing: str) -> None:
    with google_double(nothing) as double:
        assert [said.text for said in Google(double.endpoint, 5).hear(short, "en-US")] == [""]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (429, Unavailable, "google_busy"),
        (403, Unavailable, "google_refused"),
        (400, InvalidInput, "google_refused"),
        (503, Unavailable, "google_failed"),
        (CUT, Unavailable, "google_failed"),
        (HALF, Unavailable, "google_failed"),
        (HANG, TimedOut, "google_too_slow"),
        ("<html>", Unavailable, "google_failed"),
        ("{}", Unavailable, "google_failed"),
        ("[]", Unavailable, "google_failed"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(
    short: Sound, answer: Answer, kind: type[ChorusError], code: str
) -> None:
    within = 0.5 if answer == HANG else 5.0
    with google_double(answer) as double, pytest.raises(kind) as error:
        list(Google(double.endpoint, within).hear(short, "en-US"))
    assert error.value.code == code
    assert error.value.message.startswith("Google ")
    assert error.value.message.endswith(".")


@pytest.mark.parametrize(("header", "seconds"), [("120", 120.0), (None, None)])
def test_how_long_to_stay_away_is_told_on(short: Sound, header: str | None, seconds: float | None) -> None:
    with google_double(429) as double, pytest.raises(Unavailable) as error:
        double.retry_after = header
        list(Google(double.endpoint, 5).hear(short, "en-US"))
    assert error.value.retry_after == seconds
