"""What a training goes on with when it goes on from a version."""

import pytest

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.training.materials import Materials
from tests.unit.trainer.made import a_job, materials


@pytest.mark.parametrize(
    ("form", "wishes", "rank", "alpha"),
    [
        ("adapter", {}, 32, 64.0),
        ("adapter", {"rank": 8, "alpha": 16}, 8, 16.0),
        ("whole", {}, "auto", "auto"),
    ],
)
def test_an_adapter_keeps_its_rank_and_its_scale(
    form: str, wishes: dict[str, object], rank: object, alpha: object
) -> None:
    job = a_job(hyperparameters=Hyperparameters.model_validate(wishes))
    chosen = materials(form).wishes(job)
    assert (chosen.rank, chosen.alpha) == (rank, alpha)


def test_a_training_from_a_base_has_its_own_wishes() -> None:
    job = a_job(hyperparameters=Hyperparameters(rank=8))
    assert Materials("starter", [], None, []).wishes(job) == job.hyperparameters
