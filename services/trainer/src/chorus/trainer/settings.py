"""The trainer's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from chorus.common.base_model import STARTER
from chorus.common.contracts.wire import MIB
from chorus.common.settings import CommonSettings


class TrainerSettings(CommonSettings):
    """What the trainer needs to know beside what every service does."""

    base_model: str = STARTER
    """The base model that is trained unless a job names another one: `starter`, a local folder, or a model
    of the hub."""
    base_models: list[str] = Field(default=[])
    """Further base models that a job may name."""
    max_rank: int = Field(default=32, ge=8)
    """The highest rank of an adapter that inference serves; the same as its own setting."""
    role: Literal["all", "jobs", "datasets"] = "all"
    """What this process does: take trainings from the queue, answer about data, or both."""
    curation_memory: int = Field(default=4 * 1024 * MIB, ge=128 * MIB)
    """Bytes that reading one person's files may take."""
    curation_seconds: float = Field(default=3600.0, ge=1)
    """How long that may take."""
    job_slots: int = Field(default=1, ge=1, le=16)
    """Trainings at the same time."""
    once_within: float = Field(default=60.0, gt=0)
    """Seconds that `python -m chorus.trainer --once`, which does one job and ends, waits for that job."""
    niceness: int = Field(default=10, ge=0, le=19)
    """By how much trainings and builds step back where they share a machine's cores with what answers: 10 is
    a tenth of its weight, 0 none. Alone on a machine they lose nothing by it."""
    gpus_per_job: int = Field(default=1, ge=1, le=8)
    """Processes that share one training, each with a GPU of its own."""
    checkpoint_every: float = Field(default=120.0, ge=1)
    """Seconds between checkpoints: as much work is lost at most when a worker dies."""
    checkpoints_kept: int = Field(default=2, ge=1, le=10)
    """Checkpoints kept of a running job; an older one is for when the newest is damaged."""
    deterministic: bool = False
    """Train with kernels that always give the same figures, where torch has any; slower on a GPU."""
    shared_gpu: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Name of a GPU that inference uses, too: the same name there. Trainings and answers take turns."""
    job_seconds: float | None = Field(default=None, ge=1)
    """Time limit of every job; what it has learned by then is published."""
    price_per_hour: float = Field(default=0.0, ge=0)
    """What an hour of training costs, in a currency of your own; spend limits count with it."""
    guild_seconds_per_day: float | None = Field(default=None, ge=1)
    """Quota: seconds of training that a guild may use in 24 hours."""
    sweep_every: float = Field(default=60.0, ge=1)
    """Seconds between looks for jobs whose message was lost."""
    parity_within: float = Field(default=60.0, ge=1)
    """Seconds that inference has to answer the probes of a new version."""
    ack_wait: float = Field(default=60.0, ge=1)
    """Seconds that a silent worker keeps its job; the queue was provisioned with it."""
    cache: Path = Path(".chorus/cache")
    """Folder for work in hand; what is left in it may be deleted."""
