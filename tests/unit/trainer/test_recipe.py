"""Hyper-parameters: chosen from the data where nobody chose, and as a function of the step alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.training.recipe import (
    ENOUGH_LABELS,
    EPOCHS,
    MANY_LABELS,
    STEPS_AT_LEAST,
    Data,
    Recipe,
    choose,
)


def recipe(lengths: list[int], hidden_size: int = 2048, **wishes: object) -> Recipe:
    return choose(Hyperparameters.model_validate(wishes), Data(lengths), hidden_size=hidden_size)


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
    wishes = {"epochs": 7, "learning_rate": 1e-4, "rank": 32, "alpha": 8, "seed": 5, "patience": 0}
    wishes |= {"activation_checkpointing": True, "compile": False, "max_seconds": 9.0, "sft_weight": 0.5}
    chosen = recipe([30] * 20, objective="dpo", **wishes)
    assert {name: getattr(chosen, name) for name in wishes} == wishes
    assert chosen.objective == "dpo"


def test_what_is_left_open_is_decided_later_by_who_sees_the_machine() -> None:
    chosen = recipe([30] * 20)
    assert (chosen.activation_checkpointing, chosen.compile) == (None, None)


@pytest.mark.parametrize(("hidden", "rate"), [(4096, 2.9e-4), (2048, 4.9e-4), (192, 3.1e-3)])
def test_wider_models_learn_slower(hidden: int, rate: float) -> None:
    assert recipe([30], hidden).learning_rate == pytest.approx(rate, rel=0.05)


def test_all_weights_and_preferences_learn_slower() -> None:
    adapter, full = recipe([30]).learning_rate, recipe([30], method="full").learning_rate
    assert full == pytest.approx(adapter / 10)
    assert recipe([30], objective="kto").learning_rate < adapter


def test_only_an_adapter_has_a_rank() -> None:
    assert recipe([30], method="full").rank == 0
    assert recipe([30], method="qlora").rank > 0


@pytest.mark.parametrize(
    ("unwanted", "corrections", "objective"),
    [
        (0, 0, "sft"),
        (ENOUGH_LABELS - 1, 0, "sft"),
        (ENOUGH_LABELS, 0, "apo"),
        (MANY_LABELS, 0, "kto"),
        (1, 1, "dpo"),
    ],
)
def test_the_objective_follows_from_what_the_data_says(
    unwanted: int, corrections: int, objective: str
) -> None:
    data = Data([30] * 1000, unwanted=unwanted, corrections=corrections)
    chosen = choose(Hyperparameters(), data, hidden_size=2048)
    assert chosen.objective == objective
    assert (chosen.sft_weight == 1) == (objective == "sft")


def test_a_step_has_as_many_tokens_as_was_wished() -> None:
    chosen = recipe([300] * 1000, batch_tokens=3000)
    assert chosen.rows_per_step == 10


def test_tiny_data_is_taken_whole_in_each_step() -> None:
    chosen = recipe([30] * 20)
    assert chosen.rows_per_step >= 20
    assert chosen.steps == chosen.epochs


def test_one_long_example_does_not_make_the_steps_of_others_larger() -> None:
    short = [30] * 2000
    assert recipe([*short, 1000]).rows_per_step == pytest.approx(recipe(short).rows_per_step, abs=1)


@given(st.lists(st.integers(1, 1024), min_size=1, max_size=300))
def test_any_data_has_a_recipe(lengths: list[int]) -> None:
    chosen = recipe(lengths)
    assert chosen.steps >= 1
    rates = [chosen.learning_rate_at(step) for step in range(chosen.steps)]
    assert all(0 < rate <= chosen.learning_rate for rate in rates)
