"""Inference's settings."""

from pathlib import Path

from pydantic import Field

from chorus.common.base_model import STARTER
from chorus.common.settings import CommonSettings


class InferenceSettings(CommonSettings):
    """What inference needs to know beside what every service does."""

    base_model: str = STARTER
    """The base model: `starter`, a local folder, or a model of the hub."""
    window: int = Field(default=4096, ge=64)
    """Tokens of prompt and answer together, at most; less where the model has less."""
    max_rank: int = Field(default=32)
    """The highest rank of an adapter that is served: 8, 16, 32, 64 …; a higher one costs memory."""
    adapters_at_once: int = Field(default=4, ge=1)
    """Adapters in one batch."""
    adapters_in_memory: int = Field(default=32, ge=1)
    """Adapters kept in the machine's memory."""
    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory that the engine takes."""
    cpu_cache: float = Field(default=0.5, gt=0)
    """GiB for the key-value cache on a CPU."""
    requests_at_once: int = Field(default=64, ge=1)
    """Requests in the engine; more wait."""
    cache: Path = Path(".chorus/cache")
    """Folder for adapters."""
