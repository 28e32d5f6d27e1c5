"""What the training process is given, and what it tells: JSON lines on its standard output.

    Stage* Planned  (Step | Benchmarked | Saved | Snapshot | Notice)*  Trained | Paused | Failed

The parent writes one line, `pause`, into its standard input when it shall stop at the next micro-batch:
it then saves a checkpoint and ends with `Paused`. When that pipe closes, it ends at once.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, TypeAdapter

from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import BaseModelId, Benchmark, Evaluation, Probe
from chorus.common.contracts.names import Sha256
from chorus.common.contracts.training import Estimate, Progress
from chorus.common.contracts.wire import Part, Time


class Order(Part):
    """What to train, by files and folders on this machine's disk."""

    base: str
    """Name of the base model, as `base_model.find` takes it."""
    examples: list[str]
    """Files of `Example` lines."""
    out: str
    """Empty folder for what comes of it: `best/`, `final/`, `losses.csv`, `samples.json`."""
    checkpoints: str
    """Folder for checkpoints and snapshots, each in a folder of its own that is whole once it is told of."""
    resume: str | None = None
    """Folder of the checkpoint to go on from."""
    parent: str | None = None
    """Folder of the model to start from: an adapter's, or a whole model's."""
    hyperparameters: Hyperparameters
    checkpoint_every: PositiveFloat = 120.0
    """Seconds between checkpoints."""
    seconds_left: PositiveFloat | None = None
    """Until what has been learned by then is to be published."""
    until: Time | None = None
    """When the GPU is another's: it ends itself by then, whatever it does."""
    deterministic: bool = False
    """Whether a GPU must use its slower kernels that give the same figures each time."""


class Stage(Part):
    """What begins now, in words for people."""

    kind: Literal["stage"] = "stage"
    text: str


class Planned(Part):
    """The recipe is chosen, and fits; nothing has been loaded yet."""

    kind: Literal["planned"] = "planned"
    estimate: Estimate


class Step(Part):
    """How far it is; at most one a second."""

    kind: Literal["step"] = "step"
    progress: Progress


class Benchmarked(Part):
    """A look at what the model can do: before the first step, and after epochs."""

    kind: Literal["benchmarked"] = "benchmarked"
    benchmark: Benchmark


class Saved(Part):
    """A checkpoint is whole in its folder: `manifest.json` there has the sha256 of each file."""

    kind: Literal["saved"] = "saved"
    step: NonNegativeInt
    folder: str


class Snapshot(Part):
    """The adapter as it is after an epoch, as a folder that could be served."""

    kind: Literal["snapshot"] = "snapshot"
    step: NonNegativeInt
    epoch: PositiveInt
    folder: str
    model: "Made"


class Notice(Part):
    """Something that whoever waits should know: a step down the ladder when memory runs out, say."""

    kind: Literal["notice"] = "notice"
    level: Literal["info", "warn"] = "info"
    code: Literal["out_of_memory"] | None = None
    """Of what is counted as well."""
    text: str


class Made(Part):
    """Weights that could be served, as far as a manifest needs to know of them."""

    base: BaseModelId
    method: Literal["lora", "qlora", "full"]
    form: Literal["adapter", "whole"]
    rank: NonNegativeInt
    step: NonNegativeInt
    chat_template_sha256: Sha256
    eos_token_ids: list[int]
    probes: list[Probe]
    evaluation: Evaluation
    benchmarks: list[Benchmark]
    hyperparameters: dict[str, float | int | str | bool | None]


class Trained(Part):
    """What the order wanted lies in its folder."""

    kind: Literal["trained"] = "trained"
    best: Made
    """In `best/`."""
    final: Made | None = None
    """In `final/`, where the last step's weights are not the best ones."""
    steps: PositiveInt
    seconds: NonNegativeFloat
    ended: str | None = None
    """Why it ended before its last step, in words."""


class Paused(Part):
    """It stopped as asked; the last `Saved` has all that it did."""

    kind: Literal["paused"] = "paused"
    step: NonNegativeInt


class Failed(Part):
    """It cannot be done, and trying again would not help."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    param: str | None = None


Report = Stage | Planned | Step | Benchmarked | Saved | Snapshot | Notice | Trained | Paused | Failed
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])
