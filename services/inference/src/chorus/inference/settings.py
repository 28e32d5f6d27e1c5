"""Inference's settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from chorus.common.base_model import STARTER
from chorus.common.settings import CommonSettings


class InferenceSettings(CommonSettings):
    """What inference needs to know beside what every service does."""

    # --- what is served ---
    base_model: str = STARTER
    """The base model: `starter`, a local folder, or a model of the hub."""
    default_base: bool = True
    """Whether this base answers who names none. Of several bases on one bus, one is the default."""
    whole_models: int = Field(default=1, ge=0)
    """Whole fine-tuned models served beside the base, each by an engine of its own; 0 refuses them. On a GPU
    lower `CHORUS_GPU_MEMORY`, so that there is room for all of them."""
    whole_idle: float = Field(default=900.0, gt=0)
    """Seconds without a question after which a whole model's engine ends."""

    # --- the engine ---
    window: int = Field(default=4096, ge=64)
    """Tokens of prompt and answer together, at most; less where the model has less."""
    gpu_memory: float = Field(default=0.9, gt=0, le=1)
    """Share of a GPU's memory that the engine takes."""
    cpu_cache: float = Field(default=0.5, gt=0)
    """GiB for the key-value cache on a CPU."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that one engine is spread over."""
    quantization: str | None = None
    """How the weights are quantised, where the model does not say itself: `fp8`, `bitsandbytes`, …"""
    prefix_caching: bool = True
    """Whether what several prompts begin with is computed once."""
    compile: bool = False
    """Whether the model is compiled on a CPU; on GPUs it always is."""

    # --- adapters ---
    max_rank: int = Field(default=32)
    """The highest rank of an adapter that is served: 8, 16, 32, 64 …; a higher one costs memory."""
    adapters_at_once: int = Field(default=8, ge=1)
    """Adapters in one batch."""
    adapters_in_memory: int = Field(default=32, ge=1)
    """Adapters kept in the machine's memory."""
    adapters_on_disk: float = Field(default=10.0, gt=0)
    """GiB of adapters and whole models kept on disk; the least recently used go first."""
    cache: Path = Path(".chorus/cache")
    """Folder for adapters."""

    # --- load ---
    requests_at_once: int | None = Field(default=None, ge=1)
    """Requests in the engine; more wait. 64 where it is not said, on a CPU 36: more make each step longer."""
    requests_waiting: int = Field(default=256, ge=0)
    """Requests that may wait, of all guilds; one more is refused as `busy`."""
    guild_waiting: int = Field(default=64, ge=0)
    """Requests of one guild that may wait."""

    # --- one GPU for training and answering ---
    shared_gpu: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Name of a GPU that the trainer uses, too: the same name there. Trainings and answers take turns."""
    training_window: float = Field(default=1800.0, ge=60)
    """Seconds that a training has a shared GPU at a time."""
    answering_window: float = Field(default=300.0, ge=0)
    """Seconds of answers between two such windows, at least."""
    sleep: Literal["engine", "weights"] = "engine"
    """While a training has the GPU: end the `engine`, which frees all memory, or keep its `weights` in the
    machine's memory, which wakes in a second or two."""

    # --- an engine that runs already ---
    openai_url: str | None = None
    """An OpenAI-compatible server, to be used in place of an engine of our own: `http://host:8000/v1`."""
    openai_key: SecretStr = SecretStr("")
    """Its key, if it wants one."""
    openai_model: str | None = None
    """What it calls the base model; asked of the server where it is not said."""
    openai_chat: bool = False
    """Whether it is sent conversations and not token ids: for servers other than vLLM."""
    openai_adapters: bool = False
    """Whether it loads adapters at run time from our cache's folder, as vLLM does where it is allowed to."""

    @property
    def capacity(self) -> int:
        """Adapters that the engine holds: those of one batch are among them."""
        return max(self.adapters_in_memory, self.adapters_at_once)
