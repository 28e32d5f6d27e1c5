"""What a version is built anew from, and as whose."""

import pytest

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.datasets.building import plan_again
from tests.unit.gateway.fake_data import dataset


@pytest.mark.parametrize(("wanted", "target"), [(None, "7"), ("8", "8")])
def test_one_persons_replies_stay_that_unless_another_is_named(wanted: str | None, target: str) -> None:
    before = dataset(options=BuildOptions(target="7"))
    again = plan_again(before, options=BuildOptions(gap_minutes=30, target=wanted))
    assert (again.options.gap_minutes, again.options.target) == (30, target)
