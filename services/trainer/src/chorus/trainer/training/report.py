"""What the training process is given, and what it tells: JSON lines on its standard output."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, TypeAdapter

from chorus.common.contracts.models import BaseModelId, Evaluation, Probe
from chorus.common.contracts.names import Sha256
from chorus.common.contracts.training import Hyperparameters, Progress
from chorus.common.contracts.wire import Part


class Order(Part):
    """What to train, by files on this machine's disk."""

    base: str
    """Name of the base model, as `base_model.find` takes it."""
    examples: str
    """File of `Example` lines."""
    out: str
    """Empty folder for the adapter."""
    hyperparameters: Hyperparameters


class Stage(Part):
    """What begins now, in words for people."""

    kind: Literal["stage"] = "stage"
    text: str


class Step(Part):
    """How far it is; at most one a second."""

    kind: Literal["step"] = "step"
    progress: Progress


class Trained(Part):
    """The adapter lies in the order's folder; this is what its manifest needs to say."""

    kind: Literal["trained"] = "trained"
    base: BaseModelId
    rank: PositiveInt
    chat_template_sha256: Sha256
    eos_token_ids: list[int]
    probes: list[Probe]
    evaluation: Evaluation
    hyperparameters: dict[str, float | int | str]
    steps: PositiveInt
    seconds: NonNegativeFloat


class Failed(Part):
    """It cannot be done, and trying again would not help."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str


Report = Stage | Step | Trained | Failed
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])
