"""Training on short chats: real tokens a second and what is learned, beside Hugging Face's Trainer and TRL.

All have the same base, adapter, chats, schedule, and as many tokens in a step; each runs in the best of some
settings, tried out on this machine just before. Rounds alternate. Padding is not counted, and neither are
first steps, which allocate and compile. On a GPU also models of 1 and 8 billion weights, ours alone.
"""

import tempfile
from pathlib import Path

from tests.benchmarks.figures import Report

AIMED_1B, AIMED_8B = 60_000, 13_000  # tokens a second, on one H200
PUBLISHED_8B = "NeMo AutoModel on one H100: 12,473 (published)"


async def measure() -> Report:
    """Speed in rounds, then what is learned, then large models if there is a GPU."""
    # Here, for the other benchmarks' children count as their own the memory that torch and TRL would take.
    import torch

    from tests.benchmarks.training.contest import Contest

    report = Report("trainer")
    with tempfile.TemporaryDirectory() as folder:
        Contest(Path(folder)).run(report)
        if torch.cuda.is_available():
            measure_large(Path(folder), report)
    return report


def measure_large(folder: Path, report: Report) -> None:
    """1 and 8 billion weights, compiled and not; the faster one counts."""
    from tests.benchmarks.training.large import LLAMA_1B, LLAMA_8B, fastest

    for shape, ending, aim, peer in ((LLAMA_1B, "_1b", AIMED_1B, ""), (LLAMA_8B, "", AIMED_8B, PUBLISHED_8B)):
        found = fastest(shape, folder)
        how = "compiled" if found.compiled else "not compiled"
        told = f"{found.tokens_per_s:,.0f} tokens/s, {how} (aim on an H200: {aim:,})"
        report.add(f"tokens_per_s{ending}", found.tokens_per_s, told, peer)
        if found.mfu is not None:
            report.add(f"mfu{ending}", found.mfu, f"{found.mfu:.0%} of the GPU's peak")
        report.add(f"peak_gib{ending}", found.peak_gib, f"{found.peak_gib:.1f} GiB")
