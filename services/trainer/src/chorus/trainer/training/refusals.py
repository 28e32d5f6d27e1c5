"""What is refused in two places, in the same words: by the check before the queue, and by who does the work.

The check may not have been asked: an operator can submit a job by hand, and a GPU is seen for certain only by
the process that trains. Pure.
"""

from collections.abc import Iterable

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput, in_short


def unknown_base(wanted: str, there: Iterable[str]) -> InvalidInput:
    """The error for a base that the operator has not set up; `there` is what people call those that are."""
    return InvalidInput(
        f"There is no base model {in_short(wanted)!r} here. There is: {', '.join(there)}. "
        "More are the operator's to add (CHORUS_BASE_MODELS).",
        code="unknown_base",
        param="base",
    )


def other_base(model: str, base: str, wanted: str | None) -> InvalidInput:
    """The error for going on from a model of another base, or, if none is wanted, of one that is gone."""
    but = f"not on {in_short(wanted)}" if wanted else "which is not to be had here any more"
    return InvalidInput(
        f"{model} was trained on {base}, {but}. Begin from a base: leave the version away.",
        code="other_base",
        param="parent",
    )


def qlora_needs_gpu() -> InvalidInput:
    """The error for 4 bits on a CPU."""
    return InvalidInput(
        "Method qlora needs a GPU, and this machine has none: use method lora.",
        code="qlora_needs_gpu",
        param="method",
    )


def rank_too_high(wishes: Hyperparameters, most: int) -> InvalidInput | None:
    """The error for an adapter that could not be served; None where it can."""
    if wishes.method == "full" or wishes.rank == "auto" or wishes.rank <= most:
        return None
    return InvalidInput(
        f"Adapters of rank {wishes.rank} are not served here: at most {most}.",
        code="rank_too_high",
        param="rank",
    )
