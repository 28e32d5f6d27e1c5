"""Whether there is a way to a server at all: found out soon, also where nothing answers."""

import socket
import time
from email.utils import formatdate

import pytest

from chorus.common.errors import Unavailable
from chorus.speech.backends import network
from chorus.speech.backends.network import REACHED_WITHIN, check_reach, stay_away
from tests.support.google_hearing import EMPTY, google_double, out_of_reach


def reach(endpoint: str, *, within: float = REACHED_WITHIN) -> None:
    check_reach(endpoint, "CHORUS_STT_ENGINES", code="google_unreachable", within=within)


def test_nobody_is_waited_for_who_cannot_be_reached() -> None:
    started = time.perf_counter()
    with out_of_reach() as endpoint, pytest.raises(Unavailable) as error:
        reach(endpoint, within=0.2)
    assert error.value.code == "google_unreachable"
    assert time.perf_counter() - started < 1.0


def test_nor_who_takes_the_connection_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Unavailable) as error:
        reach(f"https://127.0.0.1:{server.getsockname()[1]}/x", within=0.2)
    assert error.value.code == "google_unreachable"


def test_nor_is_a_look_up_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> socket.socket:
        time.sleep(0.6)
        raise OSError("no answer from the name server")

    monkeypatch.setattr(network, "create_connection", slow)
    started = time.perf_counter()
    with pytest.raises(Unavailable):
        reach("http://somewhere.invalid/x", within=0.1)
    assert time.perf_counter() - started < 0.5


def test_where_a_proxy_stands_before_it_that_is_what_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with google_double(EMPTY) as double:
        monkeypatch.setenv("http_proxy", double.endpoint)
        reach("http://somewhere.invalid/x")
        monkeypatch.setenv("no_proxy", "somewhere.invalid")
        with pytest.raises(Unavailable):
            reach("http://somewhere.invalid/x")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30.0), ("0", None), ("-5", None), ("inf", None), ("soon", None), ("", None), (None, None)],
)
def test_how_long_to_stay_away(header: str | None, seconds: float | None) -> None:
    assert stay_away(header) == seconds


def test_a_date_to_stay_away_until() -> None:
    assert stay_away(formatdate(time.time() + 90, usegmt=True)) == pytest.approx(90, abs=5)
    assert stay_away(formatdate(time.time() - 90, usegmt=True)) is None
