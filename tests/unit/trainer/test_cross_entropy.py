"""The loss in pieces is torch's own loss, and so is its gradient, whether the head learns or not."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from chorus.trainer.backends import cross_entropy as module
from chorus.trainer.backends.cross_entropy import token_losses

WORDS, WIDTH = 50, 8


def inputs(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    hidden = 3 * torch.randn(count, WIDTH, generator=generator)
    return hidden.requires_grad_(), torch.randint(0, WORDS, (count,), generator=generator)


def head(*, learns: bool, bias: bool = False) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, WORDS, bias=bias).requires_grad_(learns)


@pytest.fixture(autouse=True)
def pieces_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.LOGITS_AT_ONCE, "cpu", 7 * WORDS)


@pytest.mark.parametrize("count", [1, 7, 8, 23])
@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_losses_and_gradients_are_those_of_all_logits_at_once(count: int, learns: bool, bias: bool) -> None:
    (hidden, targets), layer = inputs(count), head(learns=learns, bias=bias)
    ours = token_losses(hidden, layer, targets)
    theirs = cross_entropy(layer(hidden), targets, reduction="none")
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, theirs, atol=1e-6)
    weights = torch.linspace(-1, 2, count)  # an objective may weigh each token otherwise
    learning = [hidden, *(layer.parameters() if learns else [])]
    for one, other in zip(
        torch.autograd.grad((ours * weights).sum(), learning),
        torch.autograd.grad((theirs * weights).sum(), learning),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("learns", [False, True])
def test_without_any_target_there_is_a_gradient_of_nothing(learns: bool) -> None:
    hidden, targets = inputs(0)
    losses = token_losses(hidden, head(learns=learns), targets)
    assert losses.shape == (0,)
    losses.sum().backward()
    assert hidden.grad is not None


def test_a_very_unlikely_token_has_a_finite_loss() -> None:
    layer = head(learns=False)
    layer.weight.copy_(torch.zeros(WORDS, WIDTH)).data[0] = 100.0
    losses = token_losses(torch.ones(1, WIDTH), layer, torch.tensor([1]))
    assert losses.item() == pytest.approx(800.0)


@pytest.mark.parametrize("learns", [False, True])
def test_no_piece_has_more_logits_than_fit(learns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than seven positions go through the head at once."""
    seen: list[int] = []
    linear = module.functional.linear

    def counted(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.append(len(hidden))
        return linear(hidden, weight, bias)

    monkeypatch.setattr(module.functional, "linear", counted)  # nn.Linear calls the same one
    hidden, targets = inputs(23)
    token_losses(hidden, head(learns=learns), targets).sum().backward()
    assert seen[:4] == [7, 7, 7, 2]
    assert max(seen) == 7
    assert len(seen) == (8 if learns else 4), "a frozen head is computed once, one that learns again"
