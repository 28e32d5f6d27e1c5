"""From a folder to a base model that can be trained on packed examples, or to a reason why it cannot."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from chorus.common.chat import Tokens
from chorus.common.errors import InvalidInput
from chorus.trainer.backends import attention
from chorus.trainer.backends.packed import Batch, pack

PACKABLE = {"full_attention", "sliding_attention"}  # what remembers nothing but keys and values
SAME = (
    0.1  # how far apart the same logits may be, of their own size: bf16 gives 0.01, a seen neighbour over 0.3
)
AMPERE, WIDEST_HEAD = (8, 0), 256  # what flash attention knows: from these GPUs on, heads up to this width


def load(
    folder: Path, dtype: torch.dtype, device: torch.device, *, four_bits: bool = False
) -> PreTrainedModel:
    """The base, on its device, with no dropout. Raises `InvalidInput` where packing is not proven for it.

    Dropout is off: a few epochs of LoRA need none ("LoRA Without Regret"), and flash attention has none.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    _refuse_unpackable(config)
    where: dict[str, Any] = {}
    if four_bits:
        where["quantization_config"] = _four_bits()
    if device.type == "cuda":
        where["device_map"] = {"": device}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, local_files_only=True, **where
    )
    if model.get_output_embeddings() is None:
        raise unsupported(f"{type(model).__name__} has no head that writes tokens")
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, float) and name.endswith("dropout"):
                setattr(module, name, 0.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def wants_flat(model: PreTrainedModel, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the model can take attention of our own, and the machine has it for products in `dtype`.

    Other models get rows, and transformers' own mask between the examples of a row.
    """
    if not getattr(model, "_supports_attention_backend", False):
        return False
    if device.type == "cpu":
        return True
    text = model.config.get_text_config()
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    known = torch.cuda.get_device_capability(device) >= AMPERE and width <= WIDEST_HEAD
    return known and dtype == torch.bfloat16


@contextmanager
def attending(model: PreTrainedModel, implementation: str, *, flat: bool) -> Generator[None]:
    """The model with another attention, for as long as it lasts. One that takes rows keeps its own."""
    if flat:
        model.set_attn_implementation(implementation)
    try:
        yield
    finally:
        if flat:
            model.set_attn_implementation(attention.NAME)


def hidden_states(inner: Any, batch: Batch, longest: int) -> Tensor:
    """(tokens of all rows, width): what the inner model says before its head.

    `use_cache=False` and no attention mask: only so does transformers see from the positions where the
    examples of a row begin. With either of them, they would see each other without an error.
    """
    flat = {} if batch.borders is None else {"borders": batch.borders, "longest": longest}
    out = inner(input_ids=batch.ids, position_ids=batch.positions, use_cache=False, **flat)
    hidden: Tensor = out.last_hidden_state
    return hidden.flatten(0, 1)


@torch.no_grad()
def prove(model: PreTrainedModel, *, flat: bool) -> None:
    """Compare the second of two packed examples with the same one alone, in the model's own plainest way.

    That finds what no list of architectures would: memory that runs on across a border, attention or a head
    with something more to it than we compute. Raises `InvalidInput` with the code `unsupported_base`.
    """
    words = model.config.get_text_config().vocab_size
    first, second = ([(at * 31 + shift) % words for at in range(12)] for shift in (7, 3))
    examples = [Tokens(ids, [True] * len(ids)) for ids in (first, second)]
    batch = pack([examples], None if flat else 32).to(model.device)
    head: Any = model.get_output_embeddings()
    ours = head(hidden_states(model.base_model, batch, batch.longest)[12:24]).float()
    with attending(model, "eager", flat=flat):
        alone = (
            model(input_ids=torch.tensor([second], device=model.device), use_cache=False).logits[0].float()
        )
    ours, alone = (each - each.mean(-1, keepdim=True) for each in (ours, alone))
    apart = (ours - alone).norm(dim=-1) / alone.norm(dim=-1)
    if not float(apart.median()) < SAME:
        raise unsupported(
            f"{type(model).__name__} says something else of packed examples than of single ones"
        )


def unsupported(why: str) -> InvalidInput:
    """The error for a base that cannot be trained."""
    return InvalidInput(
        f"This base model cannot be trained: {why}. Choose another base.", code="unsupported_base"
    )


def _refuse_unpackable(config: Any) -> None:
    """What is not attention carries its memory from one example into the next."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or [])
    if strange := sorted(kinds - PACKABLE):
        raise unsupported(
            f"its layers use {', '.join(strange)}, which carries over from one example to the next"
        )
    if not getattr(text, "num_attention_heads", None):
        raise unsupported(
            f"{config.model_type} has no attention, and would carry over from one example to the next"
        )


def _four_bits() -> Any:
    """Weights in 4 bits, as QLoRA (arXiv 2305.14314): NF4, the scales quantised again, products in bf16.

    Raises `InvalidInput` with the code `no_bitsandbytes` where that is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise InvalidInput(
            "Method qlora needs bitsandbytes, and this trainer is installed without it. Use method lora, or "
            "install requirements/gpu.in.",
            code="no_bitsandbytes",
            param="method",
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


attention.register()
