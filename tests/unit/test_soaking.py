"""What grows is told from what only moves."""

import os
from random import Random

import pytest

from tests.support.soaking import Held, growths, held

LEAK = 40.0  # MiB, in all


def looks(*, leak: float, noise: float) -> list[Held]:
    random = Random(3)
    return [
        Held(float(n), 300 + leak * n / 99 + random.gauss(0, noise), 20 + random.choice([0, 1]), 8)
        for n in range(100)
    ]


@pytest.mark.parametrize(("leak", "flat"), [(LEAK, False), (0.0, True)])
def test_a_leak_is_found_in_noise_and_noise_alone_is_flat(leak: float, flat: bool) -> None:
    found = {each.what: each for each in growths({1: looks(leak=leak, noise=10)}, {1: "it"})}
    assert found["memory"].growth == pytest.approx(leak, abs=8)
    assert found["memory"].is_flat() is flat
    assert found["files"].is_flat()
    assert found["threads"].is_flat()


def test_one_file_more_every_while_is_no_noise() -> None:
    every = [Held(float(n), 10, 20 + n // 25, 8) for n in range(100)]
    assert not growths({1: every}, {1: "it"})[1].is_flat()


def test_what_runs_for_a_while_only_is_left_out() -> None:
    assert {each.of for each in growths({1: looks(leak=0, noise=1), 2: looks(leak=0, noise=1)[:9]}, {})} == {
        "1"
    }


def test_this_process_holds_something() -> None:
    here = held(os.getpid())
    assert here is not None
    assert here.memory > 1
    assert here.files >= 1
    assert here.threads >= 1
    assert held(2**22 + 1) is None
