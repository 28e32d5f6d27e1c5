"""LoRA by groups gives what each row by itself gives, whatever is mixed in a batch; and the plugin's mend.

The reference is written out row by row. The shapes are those of vLLM's stacked weights: (slots, 1, rank, in)
and (slots, 1, out, rank), with zeros up to the highest rank.
"""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

SLOTS, RANK, HIDDEN = 4, 8, 12

MIXES = {
    "nobody has an adapter": [-1, -1, -1, -1],
    "all have the same": [2, 2, 2, 2],
    "some have none": [0, -1, 0, -1, 0],
    "several and none": [3, -1, 0, 3, 1, -1, 0],
    "one row": [1],
    "prompts of several lengths": [0] * 9 + [-1] * 4 + [2] * 17 + [0] * 2,
}
"""Which slot each row has."""


@pytest.fixture(scope="module")
def lora() -> Any:
    """The module under test, imported late: it imports vLLM."""
    from chorus.inference.backends import grouped_lora

    return grouped_lora


def batch(lora: Any, slots: list[int], requests: list[int] | None = None) -> Any:
    """A wrapper that was told of a batch: each row's slot, each request's slot."""
    requests = slots if requests is None else requests
    wrapper = lora.GroupedLora(64, 64, "cpu")
    mapping = SimpleNamespace(  # vLLM's LoRAMapping; the adapter with the number n + 1 has slot n
        index_mapping=tuple(slot + 1 for slot in slots),
        prompt_mapping=tuple(slot + 1 for slot in requests),
        is_prefill=len(slots) > len(requests),
    )
    wrapper.update_metadata(mapping, [1, 2, 3, 4], SLOTS, 100)
    return wrapper


def weights(out: int, ranks: list[int], inputs: int = HIDDEN) -> tuple[Tensor, Tensor]:
    """Stacked A and B of one slice; `ranks[slot]` of its rows are used."""
    a, b = torch.zeros(SLOTS, 1, RANK, inputs), torch.zeros(SLOTS, 1, out, RANK)
    for slot, rank in enumerate(ranks):
        a[slot, 0, :rank], b[slot, 0, :, :rank] = torch.randn(rank, inputs), torch.randn(out, rank)
    return a, b


def row_by_row(y: Tensor, x: Tensor, slots: list[int], slices: list[tuple[Tensor, Tensor]]) -> Tensor:
    """What each row's adapter adds to it."""
    result = y.clone()
    for row, slot in enumerate(slots):
        if slot >= 0:
            result[row] += torch.cat([b[slot, 0] @ (a[slot, 0] @ x[row]) for a, b in slices])
    return result


@pytest.mark.parametrize("slots", MIXES.values(), ids=MIXES)
@pytest.mark.parametrize("widths", [[10], [6, 6], [10, 4, 4]], ids=["o", "gate and up", "q, k and v"])
def test_each_row_of_a_linear_layer_is_answered_by_its_own_adapter(
    lora: Any, slots: list[int], widths: list[int]
) -> None:
    torch.manual_seed(0)
    slices = [weights(width, [8, 3, 0, 5]) for width in widths]  # one adapter does not touch this layer
    x, y = torch.randn(len(slots), HIDDEN), torch.randn(len(slots), sum(widths))
    expected = row_by_row(y, x, slots, slices)
    a, b = zip(*slices, strict=True)
    batch(lora, slots).add_lora_linear(y, x, a, b, 1.0, tuple(widths))
    torch.testing.assert_close(y, expected)


def test_slices_of_an_adapter_may_have_different_ranks_and_some_none(lora: Any) -> None:
    torch.manual_seed(0)
    slices = [weights(10, [8, 3, 2, 5]), weights(4, [0, 0, 0, 0]), weights(4, [1, 8, 8, 0])]
    slots = [0, 1, 2, 3, -1]
    x, y = torch.randn(5, HIDDEN), torch.randn(5, 18)
    expected = row_by_row(y, x, slots, slices)
    a, b = zip(*slices, strict=True)
    batch(lora, slots).add_lora_linear(y, x, a, b, 1.0, (10, 4, 4))
    torch.testing.assert_close(y, expected)


def test_the_factor_of_a_layer_is_applied_once(lora: Any) -> None:
    torch.manual_seed(0)
    a, b = weights(10, [8, 8, 8, 8])
    for slots in ([1, 1], [1, 2]):
        x, y = torch.randn(2, HIDDEN), torch.zeros(2, 10)
        expected = 0.5 * row_by_row(y, x, slots, [(a, b)])
        batch(lora, slots).add_lora_linear(y, x, (a,), (b,), 0.5, (10,))
        torch.testing.assert_close(y, expected)


def test_an_output_padded_by_the_model_keeps_its_padding(lora: Any) -> None:
    torch.manual_seed(0)
    a, b = weights(10, [8, 8, 8, 8])
    x, y = torch.randn(2, HIDDEN), torch.zeros(2, 16)
    batch(lora, [1, 2]).add_lora_linear(y, x, (a,), (b,), 1.0, (10,))
    assert y[:, :10].all()
    assert not y[:, 10:].any()


def test_the_next_adapter_in_a_slot_is_seen_at_once(lora: Any) -> None:
    torch.manual_seed(0)
    a, b = weights(10, [8, 8, 8, 8])
    x, wrapper = torch.randn(3, HIDDEN), batch(lora, [1, 1, 1])
    wrapper.add_lora_linear(torch.zeros(3, 10), x, (a,), (b,), 1.0, (10,))
    a[1], b[1, 0, :, :2] = torch.randn(1, RANK, HIDDEN), torch.randn(10, 2)  # as vLLM writes: in place
    y = torch.zeros(3, 10)
    wrapper.add_lora_linear(y, x, (a,), (b,), 1.0, (10,))
    torch.testing.assert_close(y, row_by_row(torch.zeros(3, 10), x, [1, 1, 1], [(a, b)]))


@pytest.mark.parametrize("requests", [[-1, -1], [2, 2], [3, -1, 0]])
def test_the_vocabulary_follows_the_requests_and_not_the_tokens(lora: Any, requests: list[int]) -> None:
    torch.manual_seed(0)
    a, b = weights(50, [8, 3, 4, 5])
    x, y = torch.randn(len(requests), HIDDEN), torch.randn(len(requests), 50)
    expected = row_by_row(y, x, requests, [(a, b)])
    tokens = [slot for slot in requests for _ in range(4)]
    batch(lora, tokens, requests).add_lora_logits(y, x, a, b, 1.0)
    torch.testing.assert_close(y, expected)


def test_a_prompt_is_scored_beside_other_requests_where_no_adapter_touches_the_vocabulary(lora: Any) -> None:
    """The rows are then one request's tokens, and more than there are requests: stock vLLM dies of it."""
    a, b = weights(50, [0, 0, 0, 0])
    x, y = torch.randn(20, HIDDEN), torch.randn(20, 50)
    expected = y.clone()
    batch(lora, [0] * 20 + [1], [0, 1]).add_lora_logits(y, x, a, b, 1.0)
    assert torch.equal(y, expected)


@pytest.mark.parametrize("slots", MIXES.values(), ids=MIXES)
def test_each_row_of_the_embedding_is_answered_by_its_own_adapter(lora: Any, slots: list[int]) -> None:
    torch.manual_seed(0)
    _, b = weights(HIDDEN, [8, 3, 0, 5])
    looked_up, y = torch.randn(len(slots), RANK), torch.randn(len(slots), HIDDEN)
    expected = y.clone()
    for row, slot in enumerate(slots):
        if slot >= 0:
            expected[row] += b[slot, 0] @ looked_up[row]
    batch(lora, slots).add_lora_embedding(y, looked_up, b)
    torch.testing.assert_close(y, expected)


def test_in_bf16_the_result_is_as_near_to_the_truth_as_the_format_allows(lora: Any) -> None:
    torch.manual_seed(0)
    a, b = weights(64, [8, 8, 8, 8], inputs=256)
    slots = [0, 1, 2, 3, -1] * 4
    x, y = torch.randn(20, 256), torch.randn(20, 64)
    a, b, x, y = ((tensor * 0.1).bfloat16() for tensor in (a, b, x, y))
    truth = row_by_row(y.double(), x.double(), slots, [(a.double(), b.double())])
    batch(lora, slots).add_lora_linear(y, x, (a,), (b,), 1.0, (64,))
    torch.testing.assert_close(y.double(), truth, rtol=2**-7, atol=2**-9)  # bf16 keeps 8 bits


def test_a_compiled_step_is_left_to_vllm(lora: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is traced must hold for every batch, and groups are of one."""
    torch.manual_seed(0)
    a, b = weights(10, [8, 8, 8, 8])
    x, y = torch.randn(2, HIDDEN), torch.zeros(2, 10)
    expected = row_by_row(y, x, [1, 2], [(a, b)])
    wrapper = batch(lora, [1, 2])
    wrapper._tokens = []
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    wrapper.add_lora_linear(y, x, (a,), (b,), 1.0, (10,))
    torch.testing.assert_close(y, expected)
