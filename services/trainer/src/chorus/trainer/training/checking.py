"""Everything that is wrong with a training, found before it is queued, and said at once. Pure.

Each problem has a stable code, a sentence for people, and the name of what is to be mended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import which

from chorus.common.base_model import shown_name
from chorus.common.contracts.models import Manifest, ModelVersion
from chorus.common.contracts.training import CheckTraining, JobError, JobRecord
from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training.quota import Quota
from chorus.trainer.training.refusals import other_base, qlora_needs_gpu, rank_too_high, unknown_base

HIGHEST_RATE = {"lora": 0.1, "qlora": 0.1, "full": 0.01}
"""Of AdamW, which moves each weight by about as much a step: 30 times what the smallest bases want, and
the end of every other one."""

SECONDS_AT_LEAST = 1.0  # loading alone takes longer

GPU_SIGNS = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/proc/driver/nvidia")


def has_gpu() -> bool:
    """Whether this machine looks as if it had a GPU; the training process knows for certain."""
    return which("nvidia-smi") is not None or any(Path(sign).exists() for sign in GPU_SIGNS)


@dataclass(frozen=True)
class Offer:
    """What there is to train with."""

    bases: dict[str, str]
    """What people call them, and what they are called in the settings; the default first."""
    max_rank: int
    price_per_hour: float = 0.0
    guild_seconds_per_day: float | None = None
    gpu: bool | None = None
    """None where another machine trains."""

    @classmethod
    def of(cls, settings: TrainerSettings) -> "Offer":
        """What the operator has set up; this machine counts where this process trains, too."""
        bases = (settings.base_model, *settings.base_models)
        return cls(
            bases={shown_name(base): base for base in bases},
            max_rank=settings.max_rank,
            price_per_hour=settings.price_per_hour,
            guild_seconds_per_day=settings.guild_seconds_per_day,
            gpu=has_gpu() if settings.role == "all" else None,
        )

    def base(self, name: str | None) -> str | None:
        """What the base that people call `name` is called in the settings; None where there is no such."""
        return next(iter(self.bases.values())) if name is None else self.bases.get(name)


@dataclass(frozen=True)
class Before:
    """The version that a training is to go on from."""

    version: ModelVersion
    manifest: Manifest


def problems(
    asked: CheckTraining, offer: Offer, *, before: Before | None, jobs: Sequence[JobRecord], at: datetime
) -> list[JobError]:
    """All that is wrong. `jobs` are the guild's own; `before` is None where it has no such version."""
    return [
        *_of_base(asked, offer),
        *_of_method(asked, offer),
        *_of_data(asked),
        *_of_limits(asked, offer),
        *(_of_parent(asked, offer, asked.parent.model, before) if asked.parent else ()),
        *_of_quota(offer, jobs, at),
    ]


def _of_base(asked: CheckTraining, offer: Offer) -> Iterator[JobError]:
    if offer.base(asked.base) is None:
        yield _refused(unknown_base(asked.base or "", offer.bases))


def _of_method(asked: CheckTraining, offer: Offer) -> Iterator[JobError]:
    wishes = asked.hyperparameters
    if wishes.method == "qlora" and offer.gpu is False:
        yield _refused(qlora_needs_gpu())
    if wishes.method == "full":
        for name in ("rank", "alpha"):
            if getattr(wishes, name) != "auto":
                yield _problem(
                    "no_adapter",
                    f"Method full trains all weights and makes no adapter: leave {name} out.",
                    name,
                )
    elif (refused := rank_too_high(wishes, offer.max_rank)) is not None:
        yield _refused(refused)
    highest = HIGHEST_RATE[wishes.method]
    if wishes.learning_rate != "auto" and wishes.learning_rate > highest:
        yield _problem(
            "learning_rate_too_high",
            f"A learning_rate of {wishes.learning_rate:g} destroys any model: with method {wishes.method} "
            f"at most {highest:g}, and `auto` is far below it.",
            "learning_rate",
        )


def _of_data(asked: CheckTraining) -> Iterator[JobError]:
    objective = asked.hyperparameters.objective
    if not asked.tokens:
        yield _problem("no_data", "There is nothing to learn in this data: add some.", "data")
    elif not asked.wanted:
        yield _problem(
            "only_unwanted",
            "All replies in this data are marked as unwanted, and nothing is trained on them alone: add "
            "data with replies to be imitated.",
            "data",
        )
    elif objective in {"kto", "apo", "dpo"} and asked.wanted >= asked.examples:
        lacks = "corrections" if objective == "dpo" else "replies that are marked as unwanted"
        yield _problem(
            "nothing_unwanted",
            f"Objective {objective} learns from {lacks}, and there are none in this data: use objective sft.",
            "objective",
        )


def _of_limits(asked: CheckTraining, offer: Offer) -> Iterator[JobError]:
    wishes = asked.hyperparameters
    if wishes.max_seconds is not None and wishes.max_seconds < SECONDS_AT_LEAST:
        yield _problem(
            "too_little_time", f"Nothing is learned in {wishes.max_seconds:g} s: give more.", "max_seconds"
        )
    if wishes.max_cost is None:
        return
    if not offer.price_per_hour:
        yield _problem(
            "no_price",
            "Training has no price here, so max_cost cannot be counted: use max_seconds.",
            "max_cost",
        )
    elif wishes.max_cost / offer.price_per_hour * 3600 < SECONDS_AT_LEAST:
        yield _problem(
            "too_little_time",
            f"An hour costs {offer.price_per_hour:g} here: a max_cost of {wishes.max_cost:g} buys nothing.",
            "max_cost",
        )


def _of_parent(asked: CheckTraining, offer: Offer, model: str, before: Before | None) -> Iterator[JobError]:
    wishes = asked.hyperparameters
    if before is None:
        yield _problem("unknown_parent", f"There is no model {in_short(model)!r} to go on from.", "parent")
        return
    version, manifest = before.version, before.manifest
    if version.stale is not None:
        yield _problem(
            "model_withdrawn",
            f"The model {model} is withdrawn: somebody whose words it learned from had them deleted. "
            "Go on from another version, or from the base.",
            "parent",
        )
    base = version.base.name
    if base not in ([asked.base] if asked.base else offer.bases):
        yield _refused(other_base(model, base, asked.base))
    fits = version.form == "adapter" if wishes.method != "full" else version.form == "whole"
    if not fits and manifest.method != wishes.method:  # a base with a merged adapter gets another one
        yield _problem(
            "other_method",
            f"{model} was trained with method {manifest.method}: go on with the same.",
            "method",
        )
    if version.form == "whole":
        return
    was = {"rank": manifest.rank, "alpha": manifest.hyperparameters.get("alpha")}
    for name, value in was.items():
        wish = getattr(wishes, name)
        if wish != "auto" and value is not None and wish != value:
            yield _problem(
                f"other_{name}", f"{model} has {name} {value:g}, which cannot become {wish:g}.", name
            )


def _of_quota(offer: Offer, jobs: Sequence[JobRecord], at: datetime) -> Iterator[JobError]:
    if (refused := Quota(offer.guild_seconds_per_day).refusal(jobs, at)) is not None:
        yield _refused(refused)


def _refused(error: InvalidInput) -> JobError:
    return _problem(error.code, error.message, error.param)


def _problem(code: str, message: str, param: str | None = None) -> JobError:
    return JobError(code=code, message=message, param=param)
