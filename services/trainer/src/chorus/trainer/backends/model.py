"""The model under training: load, loss over packed examples, greedy replies, and files to serve."""

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo import mark_dynamic  # torch documents it under this name

from chorus.common.base_model import HUB_PATTERNS
from chorus.common.errors import InvalidInput
from chorus.trainer.backends import adapter, attention
from chorus.trainer.backends.cross_entropy import token_losses
from chorus.trainer.backends.greedy import Written, greedy
from chorus.trainer.backends.loading import attending, hidden_states, load, prove, wants_flat
from chorus.trainer.backends.packed import Batch
from chorus.trainer.backends.precision import Precision
from chorus.trainer.backends.speed_limits import flops_per_token, peak_flops
from chorus.trainer.training.recipe import Recipe
from chorus.trainer.training.refusals import qlora_needs_gpu

__all__ = ["Model", "Written", "merge"]

WEIGHT_FILES = "*.safetensors*"  # and their index


class Model:
    """A base with an adapter (`lora`, `qlora`), or a whole model that learns (`full`).

    Number formats: with an adapter the base is in the machine's (bf16 where it has it); the adapter's weights
    are fp32 and are cast for each product. In `full` all weights are fp32, since bf16's 8 bits would lose
    updates below 1/256 of a weight, and products are computed in bf16 by autocast.
    """

    device: torch.device
    flat: bool
    """Whether it wants flat batches: `pack(rows, None)`."""
    flops_per_token: float
    """Operations to learn from one token."""
    peak_flops: float | None
    """Operations a second that the GPU could do; None where that is not known."""
    ends: set[int]
    """Tokens that end a reply: the base's own. A chat template may have others: add them."""

    def __init__(
        self, folder: Path, precision: Precision, recipe: Recipe, *, parent: Path | None = None
    ) -> None:
        """Load the base and, where there is one, the parent to go on from.

        Args:
            folder: of the base model, or of the whole model to go on from.
            precision: what the machine computes in.
            recipe: method, rank, alpha, seed, and the length of a row.
            parent: folder of an adapter of that rank and alpha, whose weights to begin with.

        Raises:
            InvalidInput: `qlora_needs_gpu`, `unsupported_base`, or a parent that does not fit.
        """
        self.device = _device()
        self._recipe, self._whole = recipe, recipe.method == "full"
        if recipe.method == "qlora" and self.device.type != "cuda":
            raise qlora_needs_gpu()
        self._shape = adapter.Shape(recipe.rank, recipe.alpha)
        if parent and adapter.read_shape(parent) != self._shape:
            raise InvalidInput(
                "The model to go on from has another rank or alpha. Leave both away, or train from the base.",
                code="parent_does_not_fit",
                param="rank",
            )
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")  # TF32 for what is fp32
        self._folder = folder
        self._dtype = precision.dtype
        self._load(four_bits=recipe.method == "qlora")
        used = _used_weights(self._model)
        if not self._whole:
            adapter.adapt(self._model, self._shape, recipe.seed)
            if parent:
                adapter.read(parent, self._model)
        assert not isinstance(self._head, adapter.AdaptedLinear), "the loss would not train it"
        self._parameters = (
            dict(self._model.named_parameters()) if self._whole else adapter.weights(self._model)
        )
        numbers = sum(each.numel() for each in self._parameters.values())
        self.flops_per_token = flops_per_token(used, 0 if self._whole else numbers)
        self.peak_flops = peak_flops(self.device)

    def _load(self, *, four_bits: bool) -> None:
        dtype = torch.float32 if self._whole else self._dtype
        self._model = load(self._folder, dtype, self.device, four_bits=four_bits)
        self._model.eval()
        self.flat = wants_flat(self._model, self.device, self._dtype)
        if self.flat:
            self._model.set_attn_implementation(attention.NAME)
        with self._autocast():
            prove(self._model, flat=self.flat)
        self._head: Any = self._model.get_output_embeddings()
        self._inner: Any = self._model.base_model
        self._compiled = False
        self.ends = _ends(self._model)

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What learns, by name, in a fixed order; fp32. An adapter's names are those in its file."""
        return self._parameters

    def losses(self, batch: Batch) -> Tensor:
        """(supervised,) fp32: cross-entropy in nats of each position that has a target, differentiable."""
        batch = batch.to(self.device)
        longest = batch.longest
        if self._compiled and batch.borders is not None:
            longest = max(self._recipe.row_tokens, longest)  # a number that compiled code may hold fast
            for tensor, dimension in ((batch.ids, 1), (batch.positions, 1), (batch.borders, 0)):
                mark_dynamic(tensor, dimension)
        with self._autocast():
            hidden = hidden_states(self._inner, batch, longest).index_select(0, batch.learned)
            return token_losses(hidden, self._head, batch.targets.flatten()[batch.learned])

    def train(self, on: bool) -> None:
        """Switch between learning and evaluating: only when learning are activations checkpointed."""
        self._model.train(on)

    def checkpoint_activations(self) -> None:
        """From now on, keep each layer's input only, and compute the rest again (arXiv 1604.06174)."""
        self._model.gradient_checkpointing_enable({"use_reentrant": False})

    def compile(self) -> None:
        """Compile what lies between embedding and head, at the next batch.

        The number of tokens stays open: batches need no padding, and another length is not compiled again.
        Raises `InvalidInput` with the code `no_compiler` where the machine has no C++ compiler.
        """
        if not compiles():
            raise InvalidInput(
                "Compiling needs a C++ compiler, and there is none here. Install g++, or leave compile away.",
                code="no_compiler",
                param="compile",
            )
        self._inner, self._compiled = torch.compile(self._model.base_model, dynamic=False), True

    def greedy(self, prompts: Sequence[list[int]], most: int) -> list[Written]:
        """Continue each prompt with at most `most` tokens, always the likeliest. Batched, with a cache."""
        training = self._model.training
        self._model.eval()
        with self._autocast(), attending(self._model, "sdpa", flat=self.flat):
            written = greedy(self._model, self._head, prompts, most, self.ends)
        self._model.train(training)
        return written

    def save(self, out: Path) -> None:
        """Write what was learned, in bf16: an adapter, or a whole model. Training can go on."""
        if self._whole:
            _save_whole(self._model, self._folder, out)
        else:
            adapter.write(out, self._model, self._shape)

    def _autocast(self) -> AbstractContextManager[object]:
        if self._whole and self._dtype != torch.float32:
            return torch.autocast(self.device.type, self._dtype)
        return nullcontext()


def compiles() -> bool:
    """Whether this machine has what torch.compile calls: a C++ compiler."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def merge(base: Path, adapter_folder: Path, out: Path) -> None:
    """Write a whole model: the base with the adapter added to its weights, in bf16.

    Raises `InvalidInput` where the adapter does not fit the base.
    """
    model = load(base, torch.bfloat16, torch.device("cpu"))
    adapter.adapt(model, adapter.read_shape(adapter_folder), seed=0)
    adapter.read(adapter_folder, model)
    adapter.merge(model)
    _save_whole(model, base, out)


def _save_whole(model: Any, folder: Path, out: Path) -> None:
    """Weights in bf16 as safetensors; configuration, tokenizer and template are the base's own files."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: each.detach().to("cpu", torch.bfloat16)
        for name, each in model.state_dict().items()
        if name not in model.all_tied_weights_keys  # a head that is the embedding, once more
    }
    model.save_pretrained(out, state_dict=tensors)
    for pattern in HUB_PATTERNS:
        for path in folder.glob(pattern):
            if not path.match(WEIGHT_FILES):
                shutil.copyfile(path, out / path.name)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.pop("torch_dtype", None)
    (out / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}, indent=2), "utf-8")


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _used_weights(model: Any) -> int:
    """Numbers that each token is multiplied with: all but the input embedding, unless it is the head, too."""
    looked_up = model.get_input_embeddings().weight
    tied = looked_up is model.get_output_embeddings().weight
    return model.num_parameters() - (0 if tied else looked_up.numel())


def _ends(model: Any) -> set[int]:
    """The base's end tokens, as transformers' own generation knows them."""
    told = [
        getattr(model.generation_config, "eos_token_id", None),
        model.config.get_text_config().eos_token_id,
    ]
    return {
        token for each in told if each is not None for token in (each if isinstance(each, list) else [each])
    }
