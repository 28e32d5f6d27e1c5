"""The simulation of scale agrees with queueing theory where that has an answer, and docs/scale.md with it."""

from math import factorial
from pathlib import Path
from statistics import mean

import pytest

from tests.benchmarks import scale
from tests.benchmarks.scaling import pages
from tests.benchmarks.scaling.adapters import Found, Kept, ask
from tests.benchmarks.scaling.day import PATHS, SLOTS
from tests.benchmarks.scaling.queues import simulate

PAGE = Path(__file__).parent.parent.parent / "docs/scale.md"


def erlang_c(servers: int, load: float) -> float:
    """The probability that somebody has to wait at all in M/M/c, for so many busy servers on average."""
    waiting = load**servers / factorial(servers) * servers / (servers - load)
    return waiting / (sum(load**k / factorial(k) for k in range(servers)) + waiting)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (4, 3.0)])
def test_waits_are_those_of_the_theory(servers: int, load: float) -> None:
    """M/M/c: the mean wait is C(c, a) of a service time by the servers that are free on average."""
    found = simulate({"x": load}, {"x": [("desk", 1.0)]}, {"desk": servers}, deeds=60_000, seed=1)
    assert mean(found["x"]) == pytest.approx(erlang_c(servers, load) / (servers - load), rel=0.05)
    waited = mean(wait > 0 for wait in found["x"])
    assert waited == pytest.approx(erlang_c(servers, load), rel=0.05)


def test_waits_in_two_queues_add_up() -> None:
    """Burke's theorem: what leaves M/M/1 comes to the next queue as by chance."""
    rates, servers = {"x": 0.7}, {"first": 1, "second": 1}
    found = simulate(rates, {"x": [("first", 1.0), ("second", 1.0)]}, servers, deeds=60_000, seed=1)
    assert mean(found["x"]) == pytest.approx(2 * 0.7 / 0.3, rel=0.07)


def test_every_path_leads_through_stations_that_exist() -> None:
    assert {name for path in PATHS.values() for name, _ in path} == set(SLOTS)


def test_the_least_recently_used_adapter_goes_first() -> None:
    kept = Kept(2)
    assert [kept.use(name) for name in (1, 2, 1, 3, 1, 2)] == [False, False, True, False, True, False]


def test_affinity_changes_nothing_where_all_adapters_are_in_memory() -> None:
    found = {ask(30, 4, 1000, affinity=affinity, seed=1) for affinity in (True, False)}
    assert found == {Found(in_memory=1.0, delay=0.0)}


@pytest.mark.parametrize("name", ["costs", "short", "fleets", "waits", "adapters"])
def test_the_page_says_what_the_simulation_gives(name: str) -> None:
    assert pages.tables()[name] in PAGE.read_text("utf-8"), f"{PAGE} is out of date: see pages.py"


def test_one_guild_more_is_too_much_for_one_machine() -> None:
    alone = dict.fromkeys(SLOTS, 1)
    assert scale.holds(scale.waits(scale.on_one_machine(), alone))
    assert not scale.holds(scale.waits(scale.on_one_machine() + 1, alone))
