"""Hyper-parameters: chosen from the data where nobody chose, and as a function of the step alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.contracts.training import Hyperparameters
from chorus.trainer.training.recipe import EPOCHS, STEPS_AT_LEAST, choose


def recipe(lengths: list[int], hidden_size: int = 2048, **wishes: object):  # type: ignore[no-untyped-def]
    asked = Hyperparameters.model_validate(wishes)
    return choose(asked, lengths=lengths, hidden_size=hidden_size)


def test_little_data_gets_enough_steps() -> None:
    chosen = recipe([30] * 20)
    assert chosen.steps >= STEPS_AT_LEAST
    assert chosen.epochs > EPOCHS


def test_much_data_gets_a_few_passes_and_larger_steps() -> None:
    chosen = recipe([300] * 20_000)
    assert chosen.epochs == EPOCHS
    assert chosen.rows_per_step > recipe([30] * 20).rows_per_step
    assert chosen.steps > STEPS_AT_LEAST


def test_wishes_are_kept() -> None:
    chosen = recipe([30] * 20, epochs=7, learning_rate=1e-4, rank=32, seed=5)
    assert (chosen.epochs, chosen.learning_rate, chosen.rank, chosen.seed) == (7, 1e-4, 32, 5)


@pytest.mark.parametrize(("hidden", "rate"), [(4096, 2.9e-4), (2048, 4.9e-4), (192, 3.1e-3)])
def test_wider_models_learn_slower(hidden: int, rate: float) -> None:
    assert recipe([30], hidden).learning_rate == pytest.approx(rate, rel=0.05)


def test_tiny_data_is_taken_whole_in_each_step() -> None:
    chosen = recipe([30] * 20)
    assert chosen.rows_per_step >= 20
    assert chosen.steps == chosen.epochs


@given(st.lists(st.integers(1, 1024), min_size=1, max_size=300))
def test_any_data_has_a_recipe(lengths: list[int]) -> None:
    chosen = recipe(lengths)
    assert chosen.row_tokens >= max(lengths)
    assert chosen.steps >= 1
    rates = [chosen.learning_rate_at(step) for step in range(chosen.steps)]
    assert all(0 < rate <= chosen.learning_rate for rate in rates)
