"""Time and spend limits: the tightest holds, and counts all attempts."""

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.training.limits import AT_LEAST, Limits


@pytest.mark.parametrize(
    ("limits", "wishes", "worked", "left"),
    [
        (Limits(), {}, 100.0, None),
        (Limits(), {"max_seconds": 60.0}, 0.0, 60.0),
        (Limits(seconds=50.0), {"max_seconds": 60.0}, 10.0, 40.0),
        (Limits(seconds=500.0), {"max_seconds": 60.0}, 10.0, 50.0),
        (Limits(price_per_hour=2.0), {"max_cost": 1.0}, 600.0, 1200.0),
        (Limits(seconds=900.0, price_per_hour=2.0), {"max_cost": 1.0}, 0.0, 900.0),
        (Limits(), {"max_cost": 1.0}, 600.0, None),
        (Limits(seconds=50.0), {}, 51.0, AT_LEAST),
    ],
)
def test_the_tightest_limit_holds(
    limits: Limits, wishes: dict[str, float], worked: float, left: float | None
) -> None:
    assert limits.seconds_left(Hyperparameters.model_validate(wishes), worked) == left


@pytest.mark.parametrize(("of_quota", "left"), [(30.0, 30.0), (50.0, 40.0), (0.0, AT_LEAST), (None, 40.0)])
def test_what_is_left_of_a_quota_is_a_limit_from_now_on(of_quota: float | None, left: float) -> None:
    assert Limits(seconds=50.0).seconds_left(Hyperparameters(), 10.0, of_quota) == left
