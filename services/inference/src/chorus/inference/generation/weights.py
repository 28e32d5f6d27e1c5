"""The weights of an adapter: that they are numbers, and that they fit the base's layers.

Only headers are read, but for one look at whether all numbers are finite. An adapter's file names for each
layer two matrices: `lora_A`, rank × inputs, and `lora_B`, outputs × rank.
"""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from chorus.common.errors import InvalidInput, in_short

HEADER = struct.Struct("<Q")  # a safetensors file begins with the size of its header
HEADER_LIMIT = 16 * 1024 * 1024  # bytes; a thousand tensors take 150 thousand
BLOCK = 4 * 1024 * 1024  # numbers looked at together

TENSOR = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")

FORMATS = {"F32": ("<u4", 0x7F800000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80)}
"""Number formats of adapters: as which integers they are read, and the bits of the exponent (IEEE 754).
All of these bits are set in what is infinite or no number, and in nothing else."""

UNSUPPORTED = "unsupported_adapter"
"""The code for what the engine does not serve, however often it is asked."""

Layers = Mapping[str, tuple[int, int]]
"""Outputs and inputs of each layer, by its name from the first numbered part on: `layers.0.mlp.up_proj`."""


@dataclass(frozen=True)
class _Tensor:
    format: str
    shape: tuple[int, ...]


def layers_of(base: Path) -> Layers | None:
    """The layers of a base model in a folder; None where its weights are packed, or in no such files."""
    config = json.loads((base / "config.json").read_text("utf-8"))
    if config.get("quantization_config"):
        return None
    layers: dict[str, tuple[int, int]] = {}
    for path in base.glob("*.safetensors"):
        for name, tensor in _tensors(path).items():
            if name.endswith(".weight") and len(tensor.shape) == 2:
                layers[_short(name.removesuffix(".weight"))] = (tensor.shape[0], tensor.shape[1])
    return layers or None


def check_weights(path: Path, rank: int, layers: Layers | None) -> None:
    """Raises `InvalidInput` unless the file is a LoRA of this rank, finite, and made for these layers."""
    tensors = _tensors(path)
    pairs: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        match = TENSOR.fullmatch(name)
        if match is None or tensor.format not in FORMATS:
            raise unsupported(f"holds {in_short(name)!r}, which the engine does not serve")
        pairs.setdefault(match["layer"], {})[match["side"]] = tensor.shape
    if not pairs:
        raise unsupported("holds no weights")
    for layer, sides in pairs.items():
        _check_layer(layer, sides, rank, layers)
    _check_finite(path, tensors)


def unsupported(what: str) -> InvalidInput:
    """The error for an adapter that is none that can be served: what it does, or has."""
    return InvalidInput(f"This adapter {what}. Train it again.", code=UNSUPPORTED)


def _check_layer(layer: str, sides: Mapping[str, tuple[int, ...]], rank: int, layers: Layers | None) -> None:
    """For vLLM takes a matrix that is too small for its layer, and passes over layers that are not there."""
    a, b = sides.get("A", ()), sides.get("B", ())
    if len(a) != 2 or len(b) != 2 or (a[0], b[1]) != (rank, rank):
        raise unsupported(f"is no pair of matrices of rank {rank} for {in_short(layer)!r}")
    if layers is None:
        return
    known = layers.get(_short(layer))
    if known is None and not any(name.startswith(_block(layer)) for name in layers):
        raise unsupported(f"is for a layer {in_short(layer)!r}, which the base model does not have")
    if known is not None and known != (b[0], a[1]):
        raise unsupported(
            f"was made for another base model: its {in_short(layer)!r} is {b[0]} × {a[1]}, "
            f"the base model's {known[0]} × {known[1]}"
        )


def _check_finite(path: Path, tensors: Mapping[str, _Tensor]) -> None:
    """Numbers that are none would turn every answer into nonsense, without an error."""
    with path.open("rb") as file:
        (size,) = HEADER.unpack(file.read(HEADER.size))
        header = json.loads(file.read(size))
    for name, tensor in tensors.items():
        kind, exponent = FORMATS[tensor.format]
        begin, end = header[name]["data_offsets"]
        with path.open("rb") as file:
            file.seek(HEADER.size + size + begin)
            count = (end - begin) // np.dtype(kind).itemsize
            for done in range(0, count, BLOCK):
                numbers = np.fromfile(file, kind, min(count - done, BLOCK))
                if ((numbers & exponent) == exponent).any():
                    raise unsupported(f"holds numbers in {in_short(name)!r} that are not finite")


def _tensors(path: Path) -> dict[str, _Tensor]:
    """Format and shape of each tensor. Raises `InvalidInput` when it is no safetensors file."""
    try:
        with path.open("rb") as file:
            (size,) = HEADER.unpack(file.read(HEADER.size))
        if size > HEADER_LIMIT:
            raise unsupported("has weights whose header is far too long")
        with safe_open(path, framework="numpy") as file:  # checks that the header tells of every byte
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {name: _Tensor(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (SafetensorError, struct.error):
        raise unsupported("has weights that are no safetensors file") from None


def _short(layer: str) -> str:
    """A layer's name from the first numbered part on: what is before differs between a model and its file."""
    match = re.search(r"[^.]+\.\d+\..+", layer)
    return match[0] if match else layer


def _block(layer: str) -> str:
    """The numbered part that a layer is in, `layers.0.`; empty, as any name begins, where it is in none."""
    match = re.match(r"[^.]+\.\d+\.", _short(layer))
    return match[0] if match else ""
