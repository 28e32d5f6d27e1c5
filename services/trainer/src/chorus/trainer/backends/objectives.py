"""What is made small: plain learning, and three ways to learn from wanted and unwanted replies.

    sft    the mean loss of the wanted tokens
    apo    wanted replies more likely than they were, unwanted ones less (APO-zero, arXiv 2408.06266)
    kto    the same against how far the model has moved at all (arXiv 2402.01306)
    dpo    a wanted reply more likely than the unwanted one to the same words (arXiv 2305.18290)

`kto`, `apo` and `dpo` have a little of `sft` beside them: without it, `dpo` makes the wanted replies less
likely too (docs/adr/0016-preferences.md). They compare with the model as it was at the start, whose
log-probabilities are computed once, so that there is no second model in memory.

Every figure is divided by totals of the whole optimiser step. However a step is split, into micro-batches
or over GPUs, the gradients of its parts add up to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from chorus.common.chat import Tokens
from chorus.trainer.backends.packed import Batch
from chorus.trainer.backends.scoring import Reads, per_lesson, score
from chorus.trainer.training.lessons import Group, Lesson, last_reply
from chorus.trainer.training.recipe import Recipe

WANTED_TO_UNWANTED = (1.0, 4 / 3)
"""Least and most weight of all wanted lessons against that of all unwanted ones (arXiv 2402.01306, eq. 8)."""


@dataclass(frozen=True)
class Told:
    """Of one micro-batch."""

    loss: Tensor
    """Scalar: this share of the step's loss, to call `backward` on."""
    nll: Tensor
    """Scalar, detached: this share of the mean loss of the step's wanted tokens, in nats."""
    worst: Tensor
    """Scalar, detached: loss of the least likely wanted token, in nats."""


@dataclass(frozen=True)
class _Totals:
    """Of one optimiser step: what its sums are divided by."""

    wanted: int = 1
    """Wanted tokens to learn, of which there may be none."""
    lessons: int = 1
    corrections: int = 1
    moved: float = 0.0
    """KTO's reference point: how far the model has moved from what it was, in nats a lesson, at least 0."""


class Objective:
    """The loss of a step, micro-batch by micro-batch. `groups` are all that the training learns."""

    def __init__(self, recipe: Recipe, groups: Sequence[Group]) -> None:
        self._recipe = recipe
        self._groups = groups
        self._lessons = [lesson for group in groups for lesson in group]
        self._first = np.cumsum([0, *map(len, groups)]).tolist()
        self._wanted = torch.tensor([lesson.wanted for lesson in self._lessons])
        self._weights = _weights(self._wanted)
        self._learned = torch.tensor(
            [lesson.wanted * sum(lesson.tokens.learn[1:]) for lesson in self._lessons]
        )
        self._reference = torch.zeros(0)
        self._mismatched = _mismatched(self._lessons, recipe) if recipe.objective == "kto" else []
        self._mismatched_reference = torch.zeros(0)
        self._totals = _Totals()

    def prepare(self, model: Reads, row_tokens: int) -> None:
        """Compute what the model holds of all lessons before it learns; nothing to do for `sft`."""
        if self._recipe.objective == "sft":
            return
        tokens = [lesson.tokens for lesson in self._lessons]
        self._reference = score(model, tokens, row_tokens).log_probs
        if self._mismatched:
            self._mismatched_reference = score(model, self._mismatched, row_tokens).log_probs

    def begin_step(self, model: Reads, indices: Sequence[int]) -> None:
        """Take the totals of a step over these groups, all of them, whoever computes which."""
        numbers = self._numbers(indices)
        self._totals = _Totals(
            wanted=int(self._learned[numbers].sum()),
            lessons=len(numbers),
            corrections=max(1, sum(len(self._groups[index]) == 2 for index in indices)),
            moved=self._moved(model, numbers) if self._mismatched else 0.0,
        )

    @property
    def teaches(self) -> bool:
        """Whether the step has a wanted token to learn; without any, its mean loss says nothing."""
        return self._totals.wanted > 0

    def loss(self, model: Reads, batch: Batch, indices: Sequence[int]) -> Told:
        """The loss of these groups of the step, which `batch` holds packed in this order."""
        batch = batch.to(model.device)
        losses = model.losses(batch)
        numbers = torch.tensor(self._numbers(indices))
        wanted = self._wanted[numbers].to(losses, non_blocking=True)[batch.lessons]
        nll = (losses * wanted).sum() / max(1, self._totals.wanted)
        loss = self._recipe.sft_weight * nll
        if self._recipe.objective != "sft":
            loss = loss + self._preference(per_lesson(-losses, batch), numbers, indices)
        return Told(loss, nll.detach(), (losses.detach() * wanted).max())

    def state(self) -> dict[str, Tensor]:
        """What a resumed training cannot compute again, since the model has moved on."""
        if self._recipe.objective == "sft":
            return {}
        state = {"reference": self._reference}
        return {**state, "mismatched": self._mismatched_reference} if self._mismatched else state

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on with what `state` gave; in place of `prepare`."""
        self._reference = state.get("reference", self._reference)
        self._mismatched_reference = state.get("mismatched", self._mismatched_reference)

    def _numbers(self, indices: Sequence[int]) -> list[int]:
        """Numbers of the lessons of these groups among all lessons."""
        return [n for index in indices for n in range(self._first[index], self._first[index + 1])]

    def _preference(self, log_probs: Tensor, numbers: Tensor, indices: Sequence[int]) -> Tensor:
        """The part of the loss that compares. `log_probs` (lessons,) are those of whole replies."""
        rewards = self._recipe.beta * (log_probs - self._reference[numbers].to(log_probs))
        if self._recipe.objective == "dpo":
            first = _corrections([len(self._groups[index]) for index in indices]).to(rewards.device)
            return -logsigmoid(rewards[first] - rewards[first + 1]).sum() / self._totals.corrections
        signs = (2 * self._wanted[numbers].float() - 1).to(log_probs)
        gained = signs * (rewards - self._recipe.beta * self._totals.moved)
        weights = self._weights[numbers].to(log_probs)
        return (weights * (1 - torch.sigmoid(gained))).sum() / self._totals.lessons

    def _moved(self, model: Reads, numbers: Sequence[int]) -> float:
        """KL divergence from the model as it was, estimated on replies that answer other words."""
        mismatched = [self._mismatched[number] for number in numbers]
        now = score(model, mismatched, self._recipe.row_tokens).log_probs
        return float((now - self._mismatched_reference[list(numbers)]).mean().clamp(min=0))


def _corrections(sizes: Sequence[int]) -> Tensor:
    """Where in a batch the first lessons of its corrections are: groups of two."""
    starts = np.cumsum([0, *sizes[:-1]])
    return torch.from_numpy(starts[np.equal(sizes, 2)])


def _weights(wanted: Tensor) -> Tensor:
    """Weights (lessons,), 1 on average, that hold the balance of all wanted to all unwanted lessons."""
    liked, disliked = int(wanted.sum()), int((~wanted).sum())
    if not liked or not disliked:
        return torch.ones(len(wanted))
    least, most = WANTED_TO_UNWANTED
    balance = min(max(liked / disliked, least), most)
    total = len(wanted) / (1 + balance)
    return torch.where(wanted, balance * total / liked, total / disliked)


def _mismatched(lessons: Sequence[Lesson], recipe: Recipe) -> list[Tokens]:
    """For each lesson, what it answers with the reply of another lesson, drawn by the seed."""
    order = np.random.default_rng(recipe.seed).permutation(len(lessons)).tolist()
    partner = dict(zip(order, [*order[1:], order[0]], strict=True))
    texts: list[Tokens] = []
    for number, lesson in enumerate(lessons):
        reply = lessons[partner[number]].tokens
        asked = lesson.tokens.ids[: last_reply(lesson.tokens.learn)]
        start = last_reply(reply.learn)
        ids = (asked + reply.ids[start:])[-recipe.row_tokens :]
        texts.append(Tokens(ids, ([False] * len(asked) + reply.learn[start:])[-recipe.row_tokens :]))
    return texts
