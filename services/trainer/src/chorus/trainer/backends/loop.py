"""The training loop, the one long read: rows in a seeded order, step after step, until it is learned.

    benchmark of the base → steps → [an epoch's end: benchmark, snapshot] → last benchmark

A run ends with its last step, or before it: with all of it learned by heart, with no better benchmark for a
while, at its time limit, or paused; or with an error, when the loss diverges or nothing fits into memory.

Two rules shape the code. Whatever the weights depend on is a function of the seed and the step, not of the
clock: a run that was interrupted anywhere ends with the same weights. There is one exception: on a CPU, a run
that would last long is compiled once its speed is known, and compiled code rounds otherwise; who wants none
says `compile=False`. And a GPU is never waited for within a step: losses stay on it until somebody is told of
them, once a second.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch
from pydantic import BaseModel
from torch import Tensor

from chorus.common.contracts.models import Benchmark
from chorus.trainer.backends.ahead import Ready, RowsOfStep, ahead, laid_out, planned
from chorus.trainer.backends.benchmark import Judge
from chorus.trainer.backends.ladder import Ladder, is_out_of_memory
from chorus.trainer.backends.model import Model, compiles
from chorus.trainer.backends.objectives import Objective
from chorus.trainer.backends.pace import Divergence, Pace
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.backends.saving import Checkpoint, Saver, State
from chorus.trainer.backends.scoring import score
from chorus.trainer.training.lessons import Group
from chorus.trainer.training.recipe import Recipe
from chorus.trainer.training.report import Benchmarked, Notice, Stage, Step

LEARNED = math.log(1 / 0.6)  # nats: each token has at least 60 %, so no other can be likelier
BETAS = (0.9, 0.95)  # a shorter memory than the usual 0.999: these runs have hundreds of steps, not more

LOOK_STEPS, LOOK_SHARE = 20, 0.05  # a benchmark after an epoch, if so much has been learned since the last
BETTER_BY = 0.002  # nats: what is less is noise

COMPILE_AFTER = 10  # steps, by which their speed is known
COMPILE_FROM = 120.0  # seconds still to go; compiling takes about 25, and then a fifth less (measured)

OPTIMIZER_STATE = ("exp_avg", "exp_avg_sq", "step")

Tell = Callable[[BaseModel], None]


@dataclass(frozen=True)
class Subject:
    """What is trained, on what, and how."""

    model: Model
    groups: Sequence[Group]
    objective: Objective
    judge: Judge
    recipe: Recipe


@dataclass(frozen=True)
class Around:
    """Who is told, who may interrupt, and where what was done is kept."""

    tell: Tell
    asked: threading.Event
    """Set when the run shall pause."""
    ends_at: float | None
    """On the monotonic clock; from then on, what has been learned is to be published."""
    saver: Saver
    snapshot: Callable[[State], None]
    """Called after a benchmark within the run."""
    learning: str = "learning"
    """What the longest stage is called."""


@dataclass(frozen=True)
class Learned:
    """How a run ended. The model holds the last step's weights."""

    state: State
    best: Mapping[str, Tensor] | None
    """Weights that did better than the last step's, on the CPU."""
    ended: str | None = None
    """Why it ended before its last step, in words."""
    paused: bool = False


def learn(subject: Subject, around: Around, ranks: Ranks, begin: Checkpoint) -> Learned:
    """Train from where `begin` is, which has no tensors if it is the beginning.

    Raises `InvalidInput` with code `diverged` or `out_of_memory`.
    """
    return _Run(subject, around, ranks, begin).run()


class _AskedToPauseError(Exception):
    """Ends a run between two micro-batches."""


class _Run:
    """One run, or what is left of it. See `learn`."""

    def __init__(self, subject: Subject, around: Around, ranks: Ranks, begin: Checkpoint) -> None:
        self._subject, self._around, self._ranks = subject, around, ranks
        self._model, self._recipe = subject.model, subject.recipe
        self._begin, self._state = begin, begin.state
        self._resumed_at = begin.state.step
        self._lengths = [sum(len(lesson.tokens.ids) for lesson in group) for group in subject.groups]
        self._weights = self._model.parameters()
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), betas=BETAS, weight_decay=self._recipe.weight_decay, fused=True
        )
        self._ladder = Ladder(self._model, self._recipe, self._warn, begin.state.rung)
        self._best: Mapping[str, Tensor] | None = None
        self._worst = torch.tensor(begin.state.worst, device=self._model.device)
        self._loss = torch.zeros_like(self._worst)
        """Of the last step that had a wanted token, on the device; without any, a step's own says nothing."""
        self._unread: list[Tensor] = []
        """Loss and gradient norm (2,) of steps, on the device until they are read."""
        self._divergence = Divergence()
        self._pace = Pace(self._model, self._recipe, ranks=ranks.count, ends_at=around.ends_at)

    # --- 1. from the beginning to the end --------------------------------------------------------
    def run(self) -> Learned:
        """All of it."""
        try:
            self._prepare()
            ended = self._learn()
            self._finish()
        except _AskedToPauseError:
            self._save_all()
            return Learned(self._state, best=None, paused=True)
        return Learned(self._state, best=self._best if self._state.worse else None, ended=ended)

    def _prepare(self) -> None:
        """Go on from the checkpoint, or look at the model as it is before it learns."""
        self._obey()
        self._ranks.start_alike(self._weights.values())
        if self._begin.tensors:
            self._restore(self._begin.tensors)
        else:
            self._tell(Stage(text="measuring the base"))
            self._look("base")
            self._obey()
            self._subject.objective.prepare(self._model, self._recipe.row_tokens)
        self._loss += (self._state.losses or [self._state.benchmarks[0].loss])[-1]
        if self._recipe.compile or self._state.compiled:
            self._compile()
        self._model.train(True)
        self._tell(Stage(text=self._around.learning))
        self._pace.restart(self._state.step)

    def _learn(self) -> str | None:
        """All steps that are left; returns why the run ends before its last one."""
        steps = planned(self._recipe, self._lengths, done=self._state.step)
        with closing(ahead(steps, self._lay_out)) as in_time:
            for ready in in_time:
                if self._obey() and self._state.step:
                    return "time limit"
                self._step(ready)
                if ready.step.ends_epoch and (why := self._end_epoch(ready.step.epoch)):
                    return why
                self._compile_if_it_pays()
                if self._ranks.first and self._around.saver.due:
                    self._around.saver.save(self._checkpoint())
        return None

    def _finish(self) -> None:
        """The last look."""
        self._read()
        if self._state.benchmarks[-1].step != self._state.step:
            self._tell(Stage(text="measuring what was learned"))
            self._look(f"epoch {self._state.epoch}")
        self._around.saver.finish()

    # --- 2. a step -------------------------------------------------------------------------------
    def _step(self, ready: Ready) -> None:
        """One step of the optimiser."""
        step, state = ready.step, self._state
        nll, worst = self._gradients(ready)
        self._ranks.sum_gradients(self._weights.values())
        loss = self._ranks.total(nll)
        self._loss = loss if self._subject.objective.teaches else self._loss
        norm = torch.nn.utils.clip_grad_norm_(self._weights.values(), self._recipe.max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate_at(step.number)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._unread.append(torch.stack([self._loss, norm]))
        self._worst = torch.maximum(self._worst, self._ranks.greatest(worst))
        tokens = sum(self._lengths[index] for index in step.indices)
        state.step, state.epoch, state.tokens = step.number + 1, step.epoch, state.tokens + tokens
        self._pace.count(tokens)
        if self._pace.due(state.step):
            self._read()
            self._tell(Step(progress=self._pace.progress(state.step, state.epoch, state.losses[-1])))

    def _gradients(self, ready: Ready) -> tuple[Tensor, Tensor]:
        """Compute this rank's gradients, in smaller pieces if memory runs out; mean and worst loss."""
        while True:
            try:
                if ready.rung != self._ladder.rung:
                    ready = self._lay_out(ready.step)
                return self._accumulated(ready)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Here the error is gone, and with it all that the failed computation held.
            self._optimizer.zero_grad(set_to_none=True)
            self._ladder.step_down(self._ranks.share(ready.step.rows), self._lengths)

    def _accumulated(self, ready: Ready) -> tuple[Tensor, Tensor]:
        """Add up the gradients of all micro-batches. Their losses are shares of the step's mean."""
        objective, number = self._subject.objective, ready.step.number
        objective.begin_step(self._model, ready.step.indices)
        nll, worst = torch.zeros_like(self._worst), torch.zeros_like(self._worst)
        for at, micro in enumerate(ready.batches):
            if self._ranks.count == 1 and self._around.asked.is_set():
                raise _AskedToPauseError
            torch.manual_seed((self._recipe.seed * 1_000_003 + number) * 4099 + at)  # for dropout
            told = objective.loss(self._model, micro.batch, micro.indices)
            told.loss.backward()
            nll, worst = nll + told.nll, torch.maximum(worst, told.worst)
        return nll, worst

    def _lay_out(self, step: RowsOfStep) -> Ready:
        return laid_out(
            step, self._ladder.rung, self._subject.groups, self._lengths, self._model, self._ranks
        )

    def _read(self) -> None:
        """Read what the last steps said; waits for the GPU. The first rank raises if they diverge."""
        if self._unread:
            for loss, norm in torch.stack(self._unread).tolist():
                if self._ranks.first:
                    self._divergence.see(loss, norm)
                self._state.losses.append(loss)
            self._unread.clear()
        self._state.worst = float(self._worst)

    # --- 3. between steps ------------------------------------------------------------------------
    def _end_epoch(self, epoch: int) -> str | None:
        """After an epoch: look how it goes, unless that was only now; returns why the run may end here."""
        state, recipe = self._state, self._recipe
        if self._is_learned_by_heart():
            return "all of it is learned by heart"
        self._worst = torch.zeros_like(self._worst)
        learned = state.step - state.benchmarks[-1].step
        if state.step == recipe.steps or learned < max(LOOK_STEPS, LOOK_SHARE * recipe.steps):
            return None
        self._look(f"epoch {epoch}")
        if self._ranks.first:
            self._around.snapshot(state)
        self._pace.restart(state.step)
        if recipe.patience and state.worse >= recipe.patience:
            return f"no better for {state.worse} benchmarks"
        return None

    def _is_learned_by_heart(self) -> bool:
        """Whether no token can be learned better; asked of all data at once only if the epoch looks so.

        A correction is learned with its wanted reply: what is likelier than all else is so than the unwanted
        one. What `kto` and `apo` do not want may answer other questions: they go on.
        """
        if self._recipe.objective not in ("sft", "dpo") or float(self._worst) >= LEARNED:
            return False
        tokens = [lesson.tokens for group in self._subject.groups for lesson in group if lesson.wanted]
        worst = score(self._model, tokens, self._recipe.row_tokens).worst
        return float(self._ranks.greatest(torch.tensor(worst))) < LEARNED

    def _look(self, name: str) -> None:
        """Benchmark the model as it is. The best one so far, on examples kept aside, is remembered."""
        self._read()
        state, judge = self._state, self._subject.judge
        told = self._ranks.from_first(
            lambda: judge.look(self._model, name, step=state.step, epoch=state.epoch).model_dump_json()
        )
        benchmark = Benchmark.model_validate_json(told)
        state.benchmarks.append(benchmark)
        self._tell(Benchmarked(benchmark=benchmark))
        if not state.step or not benchmark.held_out:
            return
        if state.best is None or benchmark.loss < state.best.loss - BETTER_BY:
            state.best, state.worse = benchmark, 0
            self._best = _copied(self._weights)
        else:
            state.worse += 1

    def _obey(self) -> bool:
        """Whether the time is up. Raises if the run shall pause; all ranks do the same."""
        ends_at = self._around.ends_at
        time_is_up = ends_at is not None and time.monotonic() >= ends_at
        word = torch.tensor(2 if self._around.asked.is_set() else int(time_is_up))
        if (told := int(self._ranks.greatest(word))) == 2:
            raise _AskedToPauseError
        return told == 1

    def _compile_if_it_pays(self) -> None:
        """On a CPU, in long runs; on a GPU only who wishes for it gets it."""
        steps = self._state.step - self._resumed_at
        if self._recipe.compile is not None or self._state.compiled or steps != COMPILE_AFTER:
            return
        if self._pace.seconds_left(self._state.step) < COMPILE_FROM:
            return
        if self._model.device.type == "cpu" and compiles():
            self._compile()

    def _compile(self) -> None:
        self._model.compile()
        self._state.compiled = True

    # --- 4. what is kept -------------------------------------------------------------------------
    def _save_all(self) -> None:
        """A checkpoint of all that is done, unless there is one."""
        if not self._ranks.first:
            return
        self._around.saver.finish()
        if self._state.step > self._around.saver.step:
            self._around.saver.save(self._checkpoint())
            self._around.saver.finish()

    def _checkpoint(self) -> Checkpoint:
        """Everything as it is now, copied, so that training can go on meanwhile."""
        self._read()
        self._state.rung = self._ladder.rung
        self._state.replies = self._subject.judge.state()
        optimizer = {
            f"{name}.{key}": value
            for name, weight in self._weights.items()
            for key, value in self._optimizer.state[weight].items()
        }
        tensors = {"weights": _copied(self._weights), "optimizer": _copied(optimizer)}
        if objective := self._subject.objective.state():
            tensors["objective"] = _copied(objective)
        if self._best is not None:
            tensors["best"] = dict(self._best)  # replaced when there is a better one, never changed
        return Checkpoint(self._state.model_copy(deep=True), tensors)

    @torch.no_grad()
    def _restore(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Go on as if nothing had happened."""
        optimizer = tensors["optimizer"]
        for name, weight in self._weights.items():
            weight.copy_(tensors["weights"][name])
            self._optimizer.state[weight] = {
                key: optimizer[f"{name}.{key}"].to(weight.device) for key in OPTIMIZER_STATE
            }
        self._subject.objective.load(dict(tensors.get("objective", {})))
        self._subject.judge.load(self._state.replies)
        self._best = tensors.get("best")
        for loss in self._state.losses:
            self._divergence.see(loss, norm=0.0)

    def _tell(self, report: BaseModel) -> None:
        if self._ranks.first:
            self._around.tell(report)

    def _warn(self, text: str) -> None:
        self._tell(Notice(level="warn", code="out_of_memory", text=text))


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
