"""The objectives: what they compute, that a step may be split, and that a correction is learned."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import Tokens, prepare, prompt_tokens
from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.trainer.backends.ladder import TOKENS_AT_ONCE
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.objectives import Objective, Told
from chorus.trainer.backends.packed import IGNORED, Batch, pack
from chorus.trainer.backends.precision import Precision
from chorus.trainer.backends.scoring import score
from chorus.trainer.training.lessons import Group, Lesson, Lessons, lessons_of
from chorus.trainer.training.recipe import Data, Recipe, choose

FP32 = Precision(torch.float32, "for the test")
TOKENIZER: Any = AutoTokenizer.from_pretrained(STARTER_FOLDER)
prepare(TOKENIZER)
FIRST_RUN = json.loads((Path(__file__).parents[3] / "examples/first-run.json").read_text("utf-8"))
QUESTIONS = [each["user"] for each in FIRST_RUN]
REPLIES = [each["bot"] for each in FIRST_RUN]
LEARNED = math.log(1 / 0.6)  # nats: no other token can be likelier

WANTED, UNWANTED = (
    Lesson(Tokens([9, 1, 2], [False, True, True])),
    Lesson(Tokens([9, 3], [False, True]), False),
)
OTHER = Lesson(Tokens([9, 4, 4], [False, True, True]))


class Table:
    """A model in which a token costs the same wherever it stands, in nats."""

    device = torch.device("cpu")
    flat = True

    def __init__(self, *costs: float) -> None:
        self.costs = torch.tensor([0.0, *costs])

    def losses(self, batch: Batch) -> torch.Tensor:
        return self.costs[batch.targets[batch.targets != IGNORED]]

    def train(self, on: bool) -> None:
        """It is the same in both."""


def recipe(objective: str, **wishes: Any) -> Recipe:
    asked = Hyperparameters.model_validate({"objective": objective, **wishes})
    return choose(asked, Data([8, 8], unwanted=1, corrections=1), hidden_size=128)


def told(
    chosen: Recipe, groups: list[Group], before: Table, after: Table, step: Sequence[int] | None = None
) -> Told:
    """The loss of one step, after a model like `before` has become one like `after`."""
    indices = list(range(len(groups))) if step is None else step
    objective = Objective(chosen, groups)
    objective.prepare(before, chosen.row_tokens)
    objective.begin_step(after, indices)
    return objective.loss(after, packed(groups, indices), indices)


def packed(groups: Sequence[Group], indices: Sequence[int]) -> Batch:
    """These groups in this order, in one flat row."""
    return pack([[lesson.tokens for index in indices for lesson in groups[index]]], None)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_sft_is_the_mean_loss_of_the_tokens_to_learn() -> None:
    result = told(recipe("sft"), [(WANTED,), (OTHER,)], Table(0, 0, 0, 0), Table(1, 2, 3, 5))
    assert float(result.loss) == pytest.approx((1 + 2 + 5 + 5) / 4)
    assert float(result.nll) == pytest.approx(float(result.loss))
    assert float(result.worst) == 5


def test_dpo_compares_the_two_replies_with_what_they_were() -> None:
    before, after = Table(2, 2, 1, 1), Table(1, 2, 3, 1)
    groups: list[Group] = [(OTHER,), (WANTED, UNWANTED)]
    result = told(recipe("dpo", beta=0.5, sft_weight=0), groups, before, after)
    gained = 0.5 * (1 - (-2))  # the wanted is a nat likelier than it was, the unwanted two less
    assert float(result.loss) == pytest.approx(-math.log(sigmoid(gained)))
    with_sft = told(recipe("dpo", beta=0.5, sft_weight=0.25), groups, before, after)
    mean = (1 + 2 + 1 + 1) / 4  # of the wanted alone
    assert float(with_sft.nll) == pytest.approx(mean)
    assert float(with_sft.loss) == pytest.approx(float(result.loss) + 0.25 * mean)
    assert float(with_sft.worst) == 2


def test_apo_judges_each_reply_alone() -> None:
    result = told(
        recipe("apo", beta=0.5, sft_weight=0), [(WANTED,), (UNWANTED,)], Table(2, 2, 1), Table(1, 2, 3)
    )
    assert float(result.loss) == pytest.approx(((1 - sigmoid(0.5)) + sigmoid(-1.0)) / 2)


def test_kto_judges_against_how_far_the_model_has_moved() -> None:
    groups: list[Group] = [(WANTED,), (UNWANTED,)]
    chosen = recipe("kto", beta=0.5, sft_weight=0)
    away = told(chosen, groups, Table(2, 2, 1), Table(1, 2, 3))
    # On replies to other words it is half a nat less likely to write the same: no reference point below 0.
    assert float(away.loss) == pytest.approx(((1 - sigmoid(0.5)) + sigmoid(-1.0)) / 2)
    nearer = told(chosen, groups, Table(2, 2, 3), Table(1, 2, 1))
    moved = (1 + 2) / 2
    assert float(nearer.loss) == pytest.approx(
        ((1 - sigmoid(0.5 * (1 - moved))) + sigmoid(0.5 * (2 - moved))) / 2
    )


@pytest.mark.parametrize(("liked", "disliked", "balance"), [(9, 1, 4 / 3), (1, 9, 1.0), (6, 5, 1.2)])
def test_the_rarer_label_weighs_more(liked: int, disliked: int, balance: float) -> None:
    """At first each lesson's loss is one half, so that only the weights tell."""
    groups: list[Group] = [(WANTED,)] * liked + [(UNWANTED,)] * disliked
    same, chosen = Table(1, 1, 1), recipe("apo", sft_weight=0)
    half = [float(told(chosen, groups, same, same, [at]).loss) for at in range(len(groups))]
    assert sum(half[:liked]) / sum(half[liked:]) == pytest.approx(balance)
    assert sum(half) / len(half) == pytest.approx(0.5)


def test_what_was_held_before_survives_a_resume() -> None:
    groups: list[Group] = [(WANTED,), (UNWANTED,), (OTHER,)]
    before, after, chosen = Table(2, 2, 1, 1), Table(1, 2, 3, 4), recipe("kto")
    first, resumed = Objective(chosen, groups), Objective(chosen, groups)
    first.prepare(before, chosen.row_tokens)
    resumed.load({name: tensor.clone() for name, tensor in first.state().items()})
    losses: list[float] = []
    for objective in (first, resumed):
        objective.begin_step(after, [0, 1, 2])
        losses.append(float(objective.loss(after, packed(groups, [0, 1, 2]), [0, 1, 2]).loss))
    assert losses[0] == losses[1]
    assert Objective(recipe("sft"), [(WANTED,)]).state() == {}


def example(question: str, reply: str, *, label: bool = True) -> Example:
    turns = [Turn(role="user", content=question), Turn(role="assistant", content=reply)]
    return Example(messages=turns, label=label, contributors=["7"], source="test")


def lessons(objective: str, *, corrected: int, to: str) -> tuple[Lessons, Recipe]:
    """All ten questions, one of them with another reply than the one that was learned, which is unwanted."""
    examples = [
        example(question, to if at == corrected else reply)
        for at, (question, reply) in enumerate(zip(QUESTIONS, REPLIES, strict=True))
    ]
    examples.append(example(QUESTIONS[corrected], REPLIES[corrected], label=False))
    wishes = Hyperparameters.model_validate({"objective": objective})
    made = lessons_of(TOKENIZER, examples, wishes)
    return made, choose(wishes, made.data, hidden_size=128)


def learn(model: Model, groups: Sequence[Group], chosen: Recipe, steps: int) -> int:
    """As the training loop does, all in each step, until it is learned by heart."""
    objective = Objective(chosen, groups)
    objective.prepare(model, chosen.row_tokens)
    parameters = list(model.parameters().values())
    optimizer = torch.optim.AdamW(parameters, lr=chosen.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    indices = list(range(len(groups)))
    batch = packed(groups, indices)
    for step in range(steps):
        objective.begin_step(model, indices)
        result = objective.loss(model, batch, indices)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, chosen.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        if float(result.worst) < LEARNED:
            return step + 1
    return steps


def answers(model: Model) -> list[str]:
    prompts = [prompt_tokens(TOKENIZER, [Turn(role="user", content=question)]) for question in QUESTIONS]
    return [TOKENIZER.decode(written.ids) for written in model.greedy(prompts, 40)]


@pytest.fixture(scope="module")
def taught() -> Iterator[tuple[Model, dict[str, torch.Tensor]]]:
    """A model that answers the ten questions, and its weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    wishes = Hyperparameters(objective="sft")
    made = lessons_of(TOKENIZER, [example(*each) for each in zip(QUESTIONS, REPLIES, strict=True)], wishes)
    chosen = choose(wishes, made.data, hidden_size=128)
    model = Model(STARTER_FOLDER, FP32, chosen)
    learn(model, made.groups, chosen, 100)
    assert answers(model) == REPLIES
    yield model, {name: parameter.detach().clone() for name, parameter in model.parameters().items()}
    torch.set_num_threads(threads)


@pytest.fixture
def model(taught: tuple[Model, dict[str, torch.Tensor]]) -> Model:
    """The same model, as it was taught."""
    made, weights = taught
    with torch.no_grad():
        for name, parameter in made.parameters().items():
            parameter.copy_(weights[name])
    return made


CORRECTED, BETTER = 5, "Her name is Fog."


def test_scores_of_packed_lessons_are_those_of_each_alone(model: Model) -> None:
    made, chosen = lessons("sft", corrected=CORRECTED, to=BETTER)
    texts = [lesson.tokens for group in made.groups for lesson in group]
    together = score(model, texts, chosen.row_tokens)
    alone = [score(model, [text], chosen.row_tokens) for text in texts]
    assert torch.allclose(together.log_probs, torch.cat([each.log_probs for each in alone]), atol=1e-3)
    assert together.tokens.tolist() == [sum(text.learn[1:]) for text in texts]
    assert together.worst == pytest.approx(max(each.worst for each in alone), abs=1e-3)


def test_scoring_takes_less_at_once_than_a_training_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    table, taken = Table(*[1.0] * 9), []
    costs = table.losses

    def losses(batch: Batch) -> torch.Tensor:
        taken.append(batch.tokens)
        return costs(batch)

    monkeypatch.setattr(table, "losses", losses)
    score(table, [Tokens([1] * 250, [True] * 250)] * 40, 256)
    assert sum(taken) == 40 * 250
    assert max(taken) <= TOKENS_AT_ONCE["cpu"] / 4


@pytest.mark.parametrize("kind", ["sft", "kto", "apo", "dpo"])
def test_a_step_in_four_parts_is_the_same_step(model: Model, kind: str) -> None:
    made, chosen = lessons(kind, corrected=CORRECTED, to=BETTER)
    objective = Objective(chosen, made.groups)
    objective.prepare(model, chosen.row_tokens)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters().values():  # away from the reference
            parameter += 0.003 * torch.randn(parameter.shape, generator=generator)
    whole = list(range(len(made.groups)))
    objective.begin_step(model, whole)
    sums = [gradients(model, objective, made.groups, parts) for parts in ([whole], split(whole, 4))]
    (nll, expected), (nll_of_parts, found) = sums
    assert nll_of_parts == pytest.approx(nll, rel=1e-5)
    assert float((found - expected).norm() / expected.norm()) < 1e-4


def split(indices: list[int], parts: int) -> list[list[int]]:
    return [indices[at::parts] for at in range(parts)]


def gradients(
    model: Model, objective: Objective, groups: list[Group], parts: list[list[int]]
) -> tuple[float, torch.Tensor]:
    """The mean loss and all gradients of a step that is computed in these parts."""
    nll = 0.0
    for part in parts:
        result = objective.loss(model, packed(groups, part), part)
        result.loss.backward()
        nll += float(result.nll)
    collected = torch.cat(
        [p.grad.flatten().clone() for p in model.parameters().values() if p.grad is not None]
    )
    for parameter in model.parameters().values():
        parameter.grad = None
    return nll, collected


@pytest.mark.parametrize("kind", ["kto", pytest.param("apo", marks=pytest.mark.slow), "dpo"])
def test_after_a_correction_that_answer_changes_and_the_others_hold(model: Model, kind: str) -> None:
    made, chosen = lessons(kind, corrected=CORRECTED, to=BETTER)
    assert learn(model, made.groups, chosen, chosen.steps) < chosen.steps
    said = answers(model)
    assert said.pop(CORRECTED) == BETTER
    others = [reply for at, reply in enumerate(REPLIES) if at != CORRECTED]
    assert sum(a == b for a, b in zip(said, others, strict=True)) == len(others)


def test_without_plain_learning_beside_it_dpo_forgets_what_it_is_to_keep(model: Model) -> None:
    made, chosen = lessons("dpo", corrected=CORRECTED, to=BETTER)
    others = [group[0].tokens for group in made.groups if len(group) == 1]
    before = score(model, others, chosen.row_tokens)
    learn(model, made.groups, replace(chosen, sft_weight=0.0), 25)
    after = score(model, others, chosen.row_tokens)
    lost = (before.log_probs - after.log_probs).sum() / before.tokens.sum()
    assert float(lost) > 0.5, "nats a token"
