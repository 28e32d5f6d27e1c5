"""The training loop: what ends it, what it tells, and that an interruption changes nothing."""

import math
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from chorus.common.chat import Tokens
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.trainer.backends.ahead import planned
from chorus.trainer.backends.pace import WORSE_STEPS, Divergence
from chorus.trainer.backends.saving import read
from chorus.trainer.training import recipe
from chorus.trainer.training.lessons import Lesson
from chorus.trainer.training.report import Benchmarked, Notice, Stage, Step
from tests.unit.trainer.toy import IDENTITY, Run, ToyModel, random_groups, recipe_for, same


def test_a_run_has_its_steps_a_look_before_and_a_look_after(tmp_path: Path) -> None:
    run = Run(tmp_path)
    learned = run.go()
    assert (learned.state.step, len(learned.state.losses), learned.ended) == (15, 15, None)
    assert [report.benchmark.step for report in run.told if isinstance(report, Benchmarked)] == [0, 15]
    assert learned.state.losses[-1] < learned.state.losses[0]
    last = [report.progress for report in run.told if isinstance(report, Step)][-1]
    assert (last.step, last.steps, last.epoch, last.epochs) == (15, 15, 3, 3)
    assert last.loss == learned.state.losses[-1]
    assert last.learning_rate == run.recipe.learning_rate_at(14)
    assert last.mfu is not None
    assert last.seconds_left == 0
    assert Stage(text="learning") in run.told


def test_the_order_of_steps_is_a_function_of_the_seed(tmp_path: Path) -> None:
    groups = random_groups()
    lengths = [len(lesson.tokens.ids) for (lesson,) in groups]
    chosen = recipe_for(groups)
    every = list(planned(chosen, lengths, done=0))
    assert list(planned(chosen, lengths, done=6)) == every[6:]
    assert [step.number for step in every] == list(range(15))
    first = [step for step in every if step.epoch == 1]
    assert sorted(index for step in first for index in step.indices) == list(range(len(groups)))
    assert [step.ends_epoch for step in first] == [False] * (len(first) - 1) + [True]


@pytest.mark.parametrize("counted", [True, False])
def test_a_run_reaches_its_last_step_though_each_shuffle_fills_other_rows(
    counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not counted:
        monkeypatch.setattr(recipe, "COUNTED_UP_TO", 0)
    lengths = torch.randint(20, 200, (60,), generator=torch.Generator().manual_seed(0)).tolist()
    chosen = recipe.choose(Hyperparameters(epochs=9, batch_tokens=32), recipe.Data(lengths), hidden_size=64)
    steps = list(planned(chosen, lengths, done=0))
    assert [step.number for step in steps] == list(range(chosen.steps))
    assert {sum(step.epoch == epoch for step in steps) for epoch in range(1, 9)} != {chosen.steps / 9}
    if counted:
        seen = Counter(index for step in steps for index in step.indices)
        assert set(seen.values()) == {9}, "each example as often as was wished"


def test_a_step_without_a_wanted_reply_keeps_the_loss_of_the_one_before(tmp_path: Path) -> None:
    groups = [(replace(lesson, wanted=at % 3 == 0),) for at, (lesson,) in enumerate(random_groups(12))]
    changes: dict[str, object] = {"objective": "apo", "row_tokens": 1, "rows_per_step": 1, "steps": 36}
    run = Run(tmp_path, groups=groups, changes=changes)
    losses = run.go().state.losses
    base = next(report.benchmark.loss for report in run.told if isinstance(report, Benchmarked))
    steps = planned(run.recipe, [len(lesson.tokens.ids) for (lesson,) in groups], done=0)
    kept = [step.number for step in steps if not groups[step.indices[0]][0].wanted]
    assert len(kept) == 24
    for number in kept:
        assert losses[number] == pytest.approx(losses[number - 1] if number else base)


# --- interrupted and resumed ---------------------------------------------------------------------
@pytest.mark.parametrize("micro_batches", [1, 2, 9, 14, 25])
def test_a_paused_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, micro_batches: int) -> None:
    straight = Run(tmp_path / "straight", held_out=True)
    expected = straight.go()

    first = Run(tmp_path / "paused", held_out=True)
    computed = iter(range(1, 1000))

    def pause_in_time() -> None:
        if next(computed) == micro_batches:
            first.asked.set()

    first.model.on_batch = pause_in_time
    paused = first.go()
    assert paused.paused
    assert len(first.model.computed) == micro_batches, "it ends before the next micro-batch"

    second = Run(tmp_path / "paused", held_out=True)
    resumed = second.go(first.saved[-1] if first.saved else None)
    assert same(second.weights, straight.weights)
    assert resumed.state.losses == expected.state.losses
    assert resumed.state.benchmarks == expected.state.benchmarks
    assert resumed.state.tokens == expected.state.tokens


def test_a_pause_before_the_first_step_leaves_nothing_to_save(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.asked.set()
    assert run.go().paused
    assert not run.saved


def test_checkpoints_are_written_while_training_goes_on_and_each_will_do(tmp_path: Path) -> None:
    changes: dict[str, object] = {"steps": 240, "epochs": 48}
    straight = Run(tmp_path, every=1e-9, held_out=True, tells=[3.0, 1.0, 2.0, 2.5], changes=changes)
    straight.go()
    newest, before = straight.saved[-1], straight.saved[-2]
    assert sorted(tmp_path.iterdir()) == sorted([newest, before]), "the last two are kept"
    for folder in (newest, before):
        again = Run(tmp_path / "again", held_out=True, tells=[2.5], changes=changes)
        learned = again.go(folder)
        assert same(again.weights, straight.weights)
        assert learned.state.best is not None
        assert learned.best is not None
        assert same(dict(learned.best), straight.snapshots[learned.state.best.step])


# --- what ends a run -----------------------------------------------------------------------------
def test_what_is_learned_by_heart_is_not_learned_further(tmp_path: Path) -> None:
    ids = list(range(20))
    lesson = Lesson(Tokens(ids, [True] * len(ids)))
    run = Run(tmp_path, groups=[(lesson,)], changes={"steps": 400, "epochs": 400, "learning_rate": 0.1})
    learned = run.go()
    assert learned.ended == "all of it is learned by heart"
    assert learned.state.step < 200
    assert learned.state.benchmarks[-1].loss < math.log(1 / 0.6)


def test_it_ends_when_looks_get_no_better_and_knows_the_best_weights(tmp_path: Path) -> None:
    changes: dict[str, object] = {"steps": 500, "epochs": 100, "patience": 2}
    patient = Run(tmp_path, held_out=True, tells=[3.0, 2.0, 1.0, 1.1, 1.2], changes=changes)
    learned = patient.go()
    assert learned.ended == "no better for 2 benchmarks"
    assert [each.loss for each in learned.state.benchmarks] == [3.0, 2.0, 1.0, 1.1, 1.2]
    assert list(patient.snapshots) == [each.step for each in learned.state.benchmarks[1:]]
    assert learned.state.best is not None
    assert learned.best is not None
    assert same(dict(learned.best), patient.snapshots[learned.state.best.step])
    assert not same(dict(learned.best), patient.weights)


def test_without_examples_kept_aside_the_last_weights_count(tmp_path: Path) -> None:
    run = Run(tmp_path, tells=[3.0, 1.0, 2.0], changes={"steps": 60, "epochs": 12, "patience": 1})
    learned = run.go()
    assert (learned.ended, learned.best, learned.state.best) == (None, None, None)


def test_a_look_is_not_taken_after_every_short_epoch(tmp_path: Path) -> None:
    learned = Run(tmp_path, changes={"steps": 60, "epochs": 12}).go()
    steps = [each.step for each in learned.state.benchmarks]
    assert all(after - before >= 20 for before, after in pairwise(steps[:-1]))
    assert steps[-1] == 60


def test_a_time_limit_ends_it_with_what_is_learned_by_then(tmp_path: Path) -> None:
    run = Run(tmp_path, ends_at=time.monotonic())
    learned = run.go()
    assert (learned.ended, learned.state.step) == ("time limit", 1)
    assert learned.state.benchmarks[-1].step == 1


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_no_number_ends_it_and_is_never_saved(tmp_path: Path, what: str) -> None:
    class Broken(ToyModel):
        def losses(self, batch):  # type: ignore[no-untyped-def]
            losses = super().losses(batch)
            if len(self.computed) < 12:
                return losses
            return losses * math.nan if what == "loss" else losses + _NoGradient.apply(losses)

    run = Run(tmp_path, model=Broken(), every=1e-9)
    with pytest.raises(InvalidInput, match="Try a smaller learning_rate") as raised:
        run.go()
    assert (raised.value.code, raised.value.param) == ("diverged", "learning_rate")
    assert run.saved
    for folder in tmp_path.iterdir():
        saved = read(folder, IDENTITY)
        assert all(weight.isfinite().all() for weight in saved.tensors["weights"].values())


class _NoGradient(torch.autograd.Function):
    """Nothing, with a gradient that is no number."""

    @staticmethod
    def forward(ctx, losses):  # type: ignore[no-untyped-def]
        return torch.zeros_like(losses)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient * math.nan


def test_a_loss_that_rises_and_stays_there_has_diverged() -> None:
    divergence = Divergence()
    for loss in [4.0, 3.0, 2.0, 1.5] * 10:
        divergence.see(loss, 1.0)
    with pytest.raises(InvalidInput, match="stays there"):
        for _ in range(10 * WORSE_STEPS):
            divergence.see(9.0, 1.0)


@pytest.mark.parametrize("losses", [[4.0, 0.01, 1.0] * 50, [1.0, 12.0, 1.0, 1.0, 1.0, 1.0] * 20, [5.0] * 200])
def test_a_loss_that_only_leaps_or_stays_has_not(losses: list[float]) -> None:
    divergence = Divergence()
    for loss in losses:
        divergence.see(loss, 1.0)


# --- compiling -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("wish", "compiled"), [(None, False), (False, False), (True, True)])
def test_a_short_run_is_compiled_only_where_that_is_wished_for(
    tmp_path: Path, wish: bool | None, compiled: bool
) -> None:
    run = Run(tmp_path, changes={"compile": wish})
    learned = run.go()
    assert (run.model.compiled, learned.state.compiled) == (compiled, compiled)


def test_a_long_run_is_compiled_once_its_speed_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.trainer.backends.loop.COMPILE_FROM", 0.0)
    run = Run(tmp_path)
    assert run.go().state.compiled
    assert run.model.compiled
    assert not [report for report in run.told if isinstance(report, Notice)]
