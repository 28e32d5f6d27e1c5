"""`chorus status` for people, from what was found to lines of one screen."""

from datetime import UTC, datetime, timedelta

import pytest

from chorus.common.contracts.generation import Served, ServedModel
from chorus.common.contracts.models import BaseModelId
from chorus.common.operations.screenful import WIDTH, ago, screenful, size
from chorus.common.operations.status import Endpoint, Instance, Kept, Queue, Status

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
BASE = BaseModelId(name="starter", fingerprint="0" * 64)


def a_busy_place() -> Status:
    models = [ServedModel(guild="1", model=f"club@{n}", state="on_disk", hits=n) for n in range(30)]
    return Status(
        at=AT,
        instances=[
            Instance(
                name="inference",
                id=str(number),
                version="0.1.0",
                started=AT - timedelta(hours=3),
                endpoints=[
                    Endpoint(name="generate", num_requests=4, num_errors=1, processing_time=2 * 10**9),
                    Endpoint(name="score", num_requests=4, num_errors=0, processing_time=2 * 10**9),
                ],
            )
            for number in range(4)
        ],
        queue=Queue(waiting=3, in_hand=1, dead_letters=2, paused_for=90.0),
        served=Served(
            instance="i", base=BASE, state="ready", resident=8, capacity=8, waiting=2, models=models
        ),
        streams=[
            *(Kept(name=f"KV_{n}", items=9, bytes=10**6, limit=10**9) for n in range(13)),
            Kept(name="EVENTS", items=10**6, bytes=9 * 10**8, limit=10**9),
        ],
        buckets=[Kept(name="models", items=0, bytes=0), Kept(name="files", items=7, bytes=1234)],
    )


def test_a_busy_place_fits_one_screen() -> None:
    lines = screenful(a_busy_place()).splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= WIDTH


def test_each_process_has_a_line_with_the_sums_of_its_endpoints() -> None:
    row = screenful(a_busy_place()).splitlines()[1].split()
    assert row == ["inference", "0", "0.1.0", "3", "h", "8", "1", "500", "ms"]


@pytest.mark.parametrize(
    "words",
    [
        "3 waiting, 1 with a worker, 2 dead letters; PAUSED for another 2 min",
        "starter (ready); 8 of 8 in the engine, 2 requests wait",
        "and 22 more",
        "EVENTS 1000000 (900 MB, 90% full)",
        "KV_0 9 (1 MB),",
        "files 7 (1 kB)",
        "trainer",
    ],
)
def test_what_is_told(words: str) -> None:
    assert words in screenful(a_busy_place())


def test_what_did_not_answer_is_unknown() -> None:
    nothing = Status(
        at=AT, instances=None, queue=None, served=None, streams=None, buckets=None, troubles=["queue: Away."]
    )
    shown = screenful(nothing)
    assert shown.count("unknown") == 5
    assert shown.endswith("! queue: Away.")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (10**9, "1.0 GB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (59, "59 s"), (3600, "1 h"), (86400 * 3, "3 d")]
)
def test_times(seconds: float, shown: str) -> None:
    assert ago(timedelta(seconds=seconds)) == shown
