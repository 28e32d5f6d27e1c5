"""LoRA (arXiv 2106.09685): beside each linear layer W of a base, a small product B A that alone learns.

The files are peft's, which vLLM serves and peft loads; the layers are our own. peft's compute the product
in fp32 on tokens cast to fp32, keep those casts for the backward pass, and take half a second to import.
Here all products are in the base's number format, weights and gradients are fp32 (the usual mixed precision),
and beside the base's own input only (tokens, rank) numbers are kept (docs/adr/0015-packing-and-attention.md).
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from chorus.common.errors import InvalidInput

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # peft's, before a layer's name


@dataclass(frozen=True)
class Shape:
    """Of an adapter. Its output counts alpha / rank."""

    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        """What the product B A is multiplied with."""
        return self.alpha / self.rank


class AdaptedLinear(nn.Module):
    """A linear layer of the base, which does not learn, and the product beside it, which does."""

    def __init__(self, base: nn.Module, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale = base, shape.scale
        inputs, outputs = _widths(base)
        first = torch.empty(shape.rank, inputs)
        nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)  # as peft, and as torch's Linear
        device = next(base.parameters()).device
        self.lora_a = nn.Parameter(first.to(device))
        self.lora_b = nn.Parameter(
            torch.zeros(outputs, shape.rank, device=device)
        )  # it begins as the base is

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        if isinstance(weight := _plain_weight(self.base), Tensor):
            y = _Adapted.apply(x, weight, self.base.bias, self.lora_a, self.lora_b, self.scale)
            assert isinstance(y, Tensor)
            return y
        low = functional.linear(x, self.lora_a.to(x.dtype))  # a base in 4 bits multiplies in its own way
        return self.base(x) + functional.linear(low, (self.lora_b * self.scale).to(x.dtype))

    @torch.no_grad()
    def merge(self) -> nn.Module:
        """The base's own layer with the product added; the sum is made in fp32."""
        product = self.scale * (self.lora_b @ self.lora_a)
        weight: Any = self.base.weight
        change = product.T if isinstance(self.base, Conv1D) else product
        weight.copy_(weight.float() + change.to(weight.device))
        return self.base


class _Adapted(torch.autograd.Function):
    """x W^T + bias + scale x A^T B^T, and its gradients for x, A and B."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        tokens = x.flatten(0, -2)
        a, b = a.to(x.dtype), (b * scale).to(x.dtype)
        low = tokens @ a.T
        y = functional.linear(tokens, weight, bias).addmm_(low, b.T)
        ctx.save_for_backward(tokens, weight, a, b, low)
        ctx.scale = scale
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        tokens, weight, a, b, low = ctx.saved_tensors
        above = grads[0].flatten(0, -2)
        above_low = above @ b
        to_b = (above.T @ low).float().mul_(ctx.scale)
        to_a = (above_low.T @ tokens).float()
        to_x = None
        if ctx.needs_input_grad[0]:  # not in the first layer: embeddings do not learn
            to_x = (above @ weight).addmm_(above_low, a).view(*grads[0].shape[:-1], -1)
        return to_x, None, None, to_a, to_b, None


def adapt(model: PreTrainedModel, shape: Shape, seed: int) -> None:
    """Put an adapter on all linear layers but the head. vLLM serves none on heads and embeddings."""
    model.requires_grad_(False)
    head = model.get_output_embeddings()
    generator = torch.Generator().manual_seed(seed)
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, (nn.Linear, Conv1D)) and child is not head
    ]
    for parent, name, child in found:
        setattr(parent, name, AdaptedLinear(child, shape, generator))


def adapted(model: nn.Module) -> Iterator[tuple[str, AdaptedLinear]]:
    """The adapted layers by name."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, AdaptedLinear))


def weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """What learns, by its name in the adapter's file."""
    named: dict[str, nn.Parameter] = {}
    for name, layer in adapted(model):
        named[f"{PREFIX}{name}.lora_A.weight"] = layer.lora_a
        named[f"{PREFIX}{name}.lora_B.weight"] = layer.lora_b
    return named


def write(out: Path, model: nn.Module, shape: Shape) -> None:
    """The adapter in peft's form, in bf16: half the size, and vLLM casts it as it needs."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {name: each.detach().to("cpu", torch.bfloat16) for name, each in weights(model).items()}
    layers = dict(adapted(model))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": shape.rank,
        "lora_alpha": int(shape.alpha) if shape.alpha == int(shape.alpha) else shape.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(isinstance(layer.base, Conv1D) for layer in layers.values()),
        "target_modules": sorted({name.rpartition(".")[2] for name in layers}),
        "inference_mode": True,
        "base_model_name_or_path": None,  # a path of this machine; the manifest names the base
    }
    save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    (out / CONFIG).write_text(json.dumps(config, indent=2), "utf-8")


def read_shape(folder: Path) -> Shape:
    """The shape of a written adapter. Raises `InvalidInput` where there is none."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        return Shape(int(config["r"]), float(config["lora_alpha"]))
    except (OSError, ValueError, KeyError):
        raise InvalidInput(
            "The model to go on from is not a whole adapter. Name another one, or train from the base.",
            code="broken_parent",
            param="parent",
        ) from None


@torch.no_grad()
def read(folder: Path, model: nn.Module) -> None:
    """Give an adapted model the weights of a written adapter. Raises `InvalidInput` unless they fit."""
    tensors: Mapping[str, Tensor] = load_file(folder / WEIGHTS)
    own = weights(model)
    if {name: each.shape for name, each in tensors.items()} != {n: p.shape for n, p in own.items()}:
        raise InvalidInput(
            "The model to go on from was trained on another base. Name that one, or train from the base.",
            code="parent_does_not_fit",
            param="parent",
        )
    for name, parameter in own.items():
        parameter.copy_(tensors[name])


def merge(model: nn.Module) -> None:
    """Put the base's own layers back, each with its product added."""
    for name, layer in list(adapted(model)):
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer.merge())


def _widths(base: nn.Module) -> tuple[int, int]:
    if isinstance(base, nn.Linear):
        return base.in_features, base.out_features
    assert isinstance(base, Conv1D)
    return base.nx, base.nf


def _plain_weight(base: nn.Module) -> Tensor | None:
    """(outputs, inputs), or None where the weight is kept in another form than numbers."""
    if type(base) is nn.Linear:
        return base.weight
    return base.weight.T if isinstance(base, Conv1D) else None
