"""What the worker orders of its training process."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.work import Training
from tests.unit.trainer.made import a_job


@pytest.mark.parametrize("wish", [False, True])
def test_the_operators_wish_for_the_same_figures_each_time_is_passed_on(tmp_path: Path, wish: bool) -> None:
    nobody = MagicMock()  # an order asks no one
    training = Training(nobody, nobody, nobody, TrainerSettings(deterministic=wish), tmp_path)
    order = training._order(a_job(), Materials("starter", [], None, []), tmp_path, None)
    assert order.deterministic is wish
