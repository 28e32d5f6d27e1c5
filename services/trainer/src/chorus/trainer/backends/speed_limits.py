"""How fast a training could be at best: the work of a token, and what a GPU can do."""

import torch

PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A10G": 70e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 6000 Ada": 364e12,
    "RTX A6000": 155e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 operations a second with fp32 sums, by a part of the name that torch tells; the first that fits.
From NVIDIA's data sheets, halved where they count with sparsity (H100, H200, L40S, Ada), and NVIDIA's white
papers on Ampere GA102 and Ada for the GeForce cards."""


def peak_flops(device: torch.device) -> float | None:
    """Of the GPU, or None where it is not known, and for a CPU."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def flops_per_token(weights: int, adapter: int) -> float:
    """Floating-point operations to learn from one token, the attention's products aside.

    A weight costs 2 forward, 2 to pass the gradient on, and 2 for its own gradient, which a frozen one does
    not have ("LoRA Without Regret", thinkingmachines.ai, 2025). Where not every token has a target, the head
    costs less than is counted here.

    Args:
        weights: numbers of the base, without those that are only looked up (its input embedding).
        adapter: numbers of the adapter, if only it learns; 0 if all do.
    """
    return 4.0 * weights + 6.0 * adapter if adapter else 6.0 * weights
