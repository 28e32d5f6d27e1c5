"""Packing: every example once, none seeing another, and an order that follows from the seed."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.chat import Tokens
from chorus.trainer.backends.lora import IGNORED, LoraModel, pack
from chorus.trainer.backends.precision import Precision
from chorus.trainer.training.packing import rows_of_epoch, steps_of_epoch

FP32 = Precision(torch.float32, "for the test")


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60), st.integers(0, 9), st.integers(0, 9))
def test_each_example_is_in_one_row_and_rows_are_not_too_long(
    lengths: list[int], seed: int, epoch: int
) -> None:
    rows = rows_of_epoch(lengths, seed=seed, epoch=epoch, row_tokens=64)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in row) <= 64 for row in rows)
    assert rows == rows_of_epoch(lengths, seed=seed, epoch=epoch, row_tokens=64)


def test_each_epoch_has_its_own_order() -> None:
    orders = {str(rows_of_epoch([10] * 20, seed=0, epoch=epoch, row_tokens=30)) for epoch in range(5)}
    assert len(orders) == 5


def test_steps_hold_all_rows() -> None:
    assert steps_of_epoch([[0], [1], [2]], 2) == [[[0], [1]], [[2]]]


def example(*ids: int, learn_from: int = 0) -> Tokens:
    return Tokens(list(ids), [at >= learn_from for at in range(len(ids))])


def test_nothing_is_predicted_across_a_border() -> None:
    batch = pack([[example(1, 2, 3, learn_from=1), example(4, 5)]], row_tokens=8)
    assert batch.targets.tolist() == [[2, 3, IGNORED, 5, IGNORED, IGNORED, IGNORED, IGNORED]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]
    assert batch.tokens == 5


@pytest.fixture(scope="module")
def model() -> LoraModel:
    made = LoraModel(STARTER_FOLDER, FP32, rank=8, alpha=32, seed=0)
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():  # an adapter that does something
        parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return made


LENGTHS = (7, 33, 2, 50, 16)


def examples() -> list[Tokens]:
    generator = torch.Generator().manual_seed(2)
    return [example(*torch.randint(4, 2000, (n,), generator=generator).tolist()) for n in LENGTHS]


def test_packed_examples_do_not_see_each_other(model: LoraModel) -> None:
    """The loss of a row is the token-weighted mean of its examples' own losses, and so is its gradient."""
    together = model.loss(pack([examples()], row_tokens=128))
    alone = [model.loss(pack([[one]], row_tokens=len(one.ids))) for one in examples()]
    expected = sum(loss.mean * loss.targets for loss in alone) / sum(loss.targets for loss in alone)
    assert torch.allclose(together.mean, torch.as_tensor(expected), atol=1e-5)

    def gradients(loss: Any) -> list[torch.Tensor]:
        return list(torch.autograd.grad(loss, model.parameters()))

    for packed, single in zip(gradients(together.mean), gradients(expected), strict=True):
        assert torch.allclose(packed, single, atol=1e-5)


def test_the_loss_is_what_transformers_says(model: LoraModel) -> None:
    """Against the model's own loss on one example, the adapter aside."""
    plain = AutoModelForCausalLM.from_pretrained(STARTER_FOLDER, dtype=torch.float32)
    one = examples()[3]
    ids = torch.tensor([one.ids])
    fresh = LoraModel(STARTER_FOLDER, FP32, rank=8, alpha=32, seed=0)  # an untrained adapter changes nothing
    ours, worst = fresh.evaluate([[one]], row_tokens=64)
    assert ours == pytest.approx(plain(input_ids=ids, labels=ids).loss.item(), abs=1e-5)
    assert worst >= ours
