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
    """The base model that adapters are trained on: `starter`, a local folder, or a model of the hub."""
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
    ack_wait: float = Field(default=60.0, ge=1)
    """Seconds that a silent worker keeps its job; the queue was provisioned with it."""
    cache: Path = Path(".chorus/cache")
    """Folder for work in hand; what is left in it may be deleted."""
