"""A toy of a model and of a judge, and a run with them: for tests of the loop around them.

The model guesses the next token from the last one alone. With dropout, random numbers matter.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from pydantic import BaseModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chorus.common.chat import Tokens
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import Benchmark
from chorus.trainer.backends.benchmark import Judge
from chorus.trainer.backends.ladder import Rung
from chorus.trainer.backends.loop import Around, Learned, Subject, learn
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.objectives import Objective
from chorus.trainer.backends.packed import IGNORED, Batch
from chorus.trainer.backends.ranks import Ranks
from chorus.trainer.backends.saving import Checkpoint, Identity, Saver, State, read
from chorus.trainer.backends.scoring import score
from chorus.trainer.training.lessons import Group, Lesson
from chorus.trainer.training.recipe import Data, Recipe, choose
from chorus.trainer.training.report import Saved

torch.set_num_threads(1)  # toys are too small for more, and tests run side by side

VOCABULARY = 24
IDENTITY = Identity(recipe="0" * 64, data="1" * 64, base="2" * 64)


class ToyModel:
    """`chorus.trainer.backends.model.Model`, as far as the loop needs it."""

    device = torch.device("cpu")
    flat = False
    flops_per_token = 1000.0
    peak_flops = 1e9

    def __init__(
        self,
        fails: Callable[[Batch, bool], bool] = lambda batch, checkpointing: False,
        *,
        dropout: float = 0.1,
    ) -> None:
        """`fails` says whether memory runs out for a batch."""
        torch.manual_seed(0)
        self._net = nn.Sequential(
            nn.Embedding(VOCABULARY, 16), nn.Dropout(dropout), nn.Linear(16, VOCABULARY)
        )
        self._fails = fails
        self.checkpointing = False
        self.compiled = False
        self.computed: list[int] = []
        """Tokens of each micro-batch, padding included."""
        self.on_batch: Callable[[], None] = lambda: None

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._net.named_parameters())

    def train(self, on: bool) -> None:
        self._net.train(on)

    def checkpoint_activations(self) -> None:
        self.checkpointing = True

    def compile(self) -> None:
        self.compiled = True

    def losses(self, batch: Batch) -> Tensor:
        if torch.is_grad_enabled():
            self.on_batch()
            if self._fails(batch, self.checkpointing):
                raise torch.OutOfMemoryError("there is no more")
            self.computed.append(batch.ids.numel())
        supervised = batch.targets != IGNORED
        logits = self._net(batch.ids[supervised])
        return cross_entropy(logits, batch.targets[supervised], reduction="none")


class ToyJudge:
    """Tells what the model loses on the lessons, or what it is told to tell."""

    def __init__(self, groups: Sequence[Group], *, held_out: bool, tells: Sequence[float] = ()) -> None:
        self._texts = [lesson.tokens for group in groups for lesson in group]
        self._held_out = held_out
        self._tells = list(tells)

    def look(self, model: Model, name: str, *, step: int, epoch: int) -> Benchmark:
        scores = score(model, self._texts, 64)
        loss = self._tells.pop(0) if self._tells else -float(scores.log_probs.sum() / scores.tokens.sum())
        return Benchmark(
            name=name,
            step=step,
            epoch=epoch,
            loss=loss,
            perplexity=1.0,
            examples=len(self._texts),
            held_out=self._held_out,
        )

    def state(self) -> list[str]:
        return ["what the base wrote"]

    def load(self, state: list[str]) -> None:
        assert state == ["what the base wrote"]


def random_groups(count: int = 40, longest: int = 20) -> list[Group]:
    """Lessons without any sense."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, longest + 1, (count,), generator=generator).tolist()
    texts = [torch.randint(0, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]
    return [(Lesson(Tokens(ids, [True] * len(ids))),) for ids in texts]


def recipe_for(groups: Sequence[Group], **changes: object) -> Recipe:
    """Three epochs of a few steps, each of a few rows."""
    data = Data([sum(len(lesson.tokens.ids) for lesson in group) for group in groups])
    recipe = choose(Hyperparameters(epochs=3, learning_rate=0.01), data, hidden_size=16)
    recipe = replace(recipe, row_tokens=32, rows_per_step=4, steps=15, patience=0)
    return replace(recipe, **changes)  # pyright: ignore[reportArgumentType]


@dataclass
class Run:
    """A run with toys; what it told."""

    folder: Path
    groups: list[Group] = field(default_factory=random_groups)
    model: ToyModel = field(default_factory=ToyModel)
    changes: dict[str, object] = field(default_factory=dict)
    held_out: bool = False
    tells: Sequence[float] = ()
    every: float = 1e9
    ends_at: float | None = None
    ranks: Ranks = field(default_factory=Ranks)
    asked: threading.Event = field(default_factory=threading.Event)
    told: list[BaseModel] = field(default_factory=list)
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Weights by step."""

    @property
    def recipe(self) -> Recipe:
        return recipe_for(self.groups, **self.changes)

    def go(self, resume: Path | None = None) -> Learned:
        """From the beginning, or from a checkpoint."""
        rung = Rung(rows=2, row_tokens=self.recipe.row_tokens)
        begin = read(resume, IDENTITY) if resume else Checkpoint(State(identity=IDENTITY, rung=rung), {})
        saver = Saver(self.folder, self.told.append, every=self.every, step=begin.state.step)
        around = Around(
            tell=self.told.append,
            asked=self.asked,
            ends_at=self.ends_at,
            saver=saver,
            snapshot=lambda state: self.snapshots.update({state.step: self.weights}),
        )
        judge = ToyJudge(self.groups, held_out=self.held_out, tells=self.tells)
        subject = Subject(
            cast("Model", self.model),
            self.groups,
            Objective(self.recipe, self.groups),
            cast("Judge", judge),
            self.recipe,
        )
        try:
            return learn(subject, around, self.ranks, begin)
        finally:
            saver.finish()

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.model.parameters().items()}

    @property
    def saved(self) -> list[Path]:
        """Checkpoints, in the order in which they were told of."""
        return [Path(report.folder) for report in self.told if isinstance(report, Saved)]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether all weights are the same, to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
