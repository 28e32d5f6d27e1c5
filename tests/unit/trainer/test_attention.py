"""No packed example sees another: on every path, for every kind of model, with and without an adapter.

Tolerance: 1e-4 nats on losses in fp32, where a seen neighbour makes a difference of more than 0.1.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM

from chorus.common.errors import InvalidInput
from chorus.trainer.backends.attention import attention
from chorus.trainer.backends.model import Model
from chorus.trainer.backends.packed import pack
from chorus.trainer.backends.precision import Precision
from tests.unit.trainer.tiny import CONFIGS, FP32, base, examples, lora, recipe, stir

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


def packed(model: Model) -> Tensor:
    return model.losses(pack([examples()], None if model.flat else 128))


def alone(model: Model) -> Tensor:
    return torch.cat(
        [model.losses(pack([[one]], None if model.flat else len(one.ids))) for one in examples()]
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_packed_examples_lose_what_they_lose_alone(name: str, folder: Path) -> None:
    model = lora(base(name, folder))
    assert model.flat is (name != "gptj")
    assert torch.allclose(packed(model), alone(model), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_rows_keep_examples_apart_as_flat_batches_do(name: str, folder: Path) -> None:
    model = lora(base(name, folder))
    flat = packed(model)
    model.flat = False
    model._model.set_attn_implementation("sdpa")
    assert torch.allclose(packed(model), flat, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_the_gradient_of_a_pack_is_the_sum_of_its_examples_gradients(
    name: str, checkpointed: bool, folder: Path
) -> None:
    model = lora(base(name, folder))
    if checkpointed:
        model.checkpoint_activations()
    model.train(True)
    parameters = list(model.parameters().values())
    together = torch.autograd.grad(packed(model).sum(), parameters)
    apart = torch.autograd.grad(alone(model).sum(), parameters)
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)
        assert other.abs().max() > 0.01


def test_a_model_that_learns_as_a_whole_keeps_examples_apart(folder: Path) -> None:
    model = Model(base("llama", folder), FP32, recipe(method="full", rank=0))
    assert torch.allclose(packed(model), alone(model), atol=TOLERANCE)


def test_in_bf16_packed_examples_lose_about_what_they_lose_alone(folder: Path) -> None:
    model = Model(base("llama", folder), Precision(torch.bfloat16, "for the test"), recipe())
    stir(model)
    assert (packed(model) - alone(model)).abs().mean() < 0.05, "rounding, not a neighbour"


@pytest.mark.slow
def test_a_compiled_model_keeps_examples_apart_and_learns_the_same(folder: Path) -> None:
    model, compiled = lora(base("llama", folder)), lora(base("llama", folder))
    compiled.compile()
    parameters, others = model.parameters().values(), compiled.parameters().values()
    for lengths in ((7, 33, 2, 50, 16), (20, 40), (5, 5, 5, 90, 12, 3)):  # no length is compiled for its own
        batch = pack([examples(lengths)], None)
        eager, ours = model.losses(batch), compiled.losses(batch)
        assert torch.allclose(ours, eager, atol=TOLERANCE)
        gradients = torch.autograd.grad(eager.sum(), parameters), torch.autograd.grad(ours.sum(), others)
        for one, other in zip(*gradients, strict=True):
            assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)
    assert torch.allclose(packed(compiled), alone(compiled), atol=TOLERANCE)


@pytest.mark.parametrize("wrong", [{"use_cache": True}, {"mask": True}], ids=["cache", "mask"])
def test_with_a_cache_or_a_mask_transformers_would_let_examples_see_each_other(
    wrong: dict[str, bool], folder: Path
) -> None:
    """Why neither is ever given: the difference is large, and there is no error."""
    model: Any = AutoModelForCausalLM.from_pretrained(base("llama", folder), attn_implementation="sdpa")
    batch = pack([examples()], 128)
    mask = {"attention_mask": torch.ones_like(batch.ids)} if wrong.get("mask") else {}
    right = model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False).logits
    use_cache = wrong.get("use_cache", False)
    seen = model(input_ids=batch.ids, position_ids=batch.positions, use_cache=use_cache, **mask).logits
    first, second = slice(0, 7), slice(7, 40)
    assert torch.allclose(right[0, first], seen[0, first], atol=TOLERANCE)
    assert (right[0, second] - seen[0, second]).abs().max() > 0.1


@pytest.mark.parametrize("heads", [(4, 2), (3, 3), (6, 1)], ids=["grouped", "each", "shared"])
@pytest.mark.parametrize("window", [None, 20])
def test_attention_and_its_gradients_are_those_of_each_example_alone(
    heads: tuple[int, int], window: int | None
) -> None:
    """Against torch's own attention with a mask, in fp64: lengths below, at and beyond a block."""
    lengths = [1, 300, 8, 9, 128, 129, 513]
    borders = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32)
    tensors = [
        torch.randn(1, count, sum(lengths), 8, dtype=torch.float64, requires_grad=True)
        for count in (heads[0], heads[1], heads[1])
    ]
    ours, _ = attention(
        torch.nn.Identity(), *tensors, None, borders=borders, longest=513, sliding_window=window, dropout=0.0
    )
    pieces = []
    for start, end in zip(borders.tolist(), borders.tolist()[1:], strict=False):
        seen = torch.ones(end - start, end - start, dtype=torch.bool).tril()
        seen &= ~seen.tril(-window) if window else seen
        one = [each[:, :, start:end] for each in tensors]
        pieces.append(scaled_dot_product_attention(*one, attn_mask=seen, enable_gqa=True))
    theirs = torch.cat(pieces, dim=2).transpose(1, 2)
    assert torch.allclose(ours, theirs, atol=1e-10)
    above = torch.randn_like(ours)
    for one, other in zip(
        torch.autograd.grad(ours, tensors, above), torch.autograd.grad(theirs, tensors, above), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-10)


def test_attention_with_more_to_it_than_ours_is_refused() -> None:
    one = torch.zeros(1, 1, 2, 8)
    with pytest.raises(InvalidInput, match="softcap") as refused:
        attention(
            torch.nn.Identity(), one, one, one, None, borders=torch.tensor([0, 2]), longest=2, softcap=50.0
        )
    assert refused.value.code == "unsupported_base"
