"""Google's recogniser, asked as it wants to be asked, at a stand-in; and every way in which it fails."""

import socket
import time

import pytest

from chorus.common.errors import ChorusError, TimedOut, Unavailable
from chorus.speech.backends import google
from chorus.speech.backends.google import Google, check_reach
from chorus.speech.voice.sound import Sound
from tests.support.google_hearing import CUT, EMPTY, HALF, HANG, Answer, google_double, heard, out_of_reach
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
        (400, Unavailable, "google_refused"),
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


def test_nobody_is_waited_for_who_cannot_be_reached() -> None:
    started = time.perf_counter()
    with out_of_reach() as endpoint, pytest.raises(Unavailable) as error:
        check_reach(endpoint, within=0.2)
    assert error.value.code == "google_unreachable"
    assert time.perf_counter() - started < 1.0


def test_nor_is_a_look_up_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> socket.socket:
        time.sleep(0.6)
        raise OSError("no answer from the name server")

    monkeypatch.setattr(google, "create_connection", slow)
    started = time.perf_counter()
    with pytest.raises(Unavailable):
        check_reach("http://somewhere.invalid/x", within=0.1)
    assert time.perf_counter() - started < 0.5


def test_where_a_proxy_stands_before_it_that_is_what_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with google_double(EMPTY) as double:
        monkeypatch.setenv("http_proxy", double.endpoint)
        check_reach("http://somewhere.invalid/x")
        monkeypatch.setenv("no_proxy", "somewhere.invalid")
        with pytest.raises(Unavailable):
            check_reach("http://somewhere.invalid/x")
