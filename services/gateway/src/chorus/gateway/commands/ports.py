"""What commands need of the world. `backends` meet it over the bus; nothing here knows how."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from chorus.common.contracts.datasets import Dataset, Turn
from chorus.common.contracts.generation import Delta, End
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.training import Hyperparameters, JobRecord


@dataclass(frozen=True)
class Upload:
    """A file that a person handed over."""

    name: str
    data: bytes


class Files(Protocol):
    """Where `file=` finds a file: on one's own disk in the console, attached to the message in Discord."""

    async def read(self, name: str) -> Upload:
        """The file. Raises `InvalidInput` or `TooLarge` in words for people."""
        ...

    def attached(self) -> list[str]:
        """Names of the files that came with the command itself; in the console none ever does."""
        ...


class Datasets(Protocol):
    """Data that people hand over."""

    async def add(
        self, guild: str, name: str, upload: Upload, *, positive: bool, contributor: str
    ) -> Dataset:
        """Make a dataset version of it. Raises what is wrong with it."""
        ...


class Jobs(Protocol):
    """Training jobs of a guild."""

    async def submit(
        self, dataset: Dataset, model: str, wishes: Hyperparameters, *, submitted_by: str, key: str
    ) -> JobRecord:
        """Queue a training. The same idempotency key again is the same job. Raises `QueueFull`."""
        ...

    async def get(self, guild: str, job: str) -> JobRecord:
        """One job. Raises `NotFound`."""
        ...

    async def recent(self, guild: str) -> list[JobRecord]:
        """All jobs that are remembered, newest first."""
        ...

    async def cancel(self, guild: str, job: str) -> JobRecord:
        """Ask for a job to stop. Raises `NotFound`, or `Conflict` if it has ended."""
        ...

    def follow(self, guild: str, job: str) -> AsyncIterator[JobRecord]:
        """The job as it goes on, until it has ended."""
        ...


class Models(Protocol):
    """Models that a guild has trained, and which of them answers."""

    async def all(self, guild: str) -> list[ModelRecord]:
        """All of them, by name."""
        ...

    async def voice(self, guild: str) -> str | None:
        """The model that answers; None is the base."""
        ...

    async def use(self, guild: str, name: str, selector: str) -> str:
        """Have a version answer from now on; returns `name@version`. Raises `NotFound`."""
        ...

    async def use_base(self, guild: str) -> None:
        """Have the base model answer from now on."""
        ...


class Answers(Protocol):
    """Models that answer."""

    def ask(self, guild: str, model: str | None, messages: list[Turn]) -> AsyncIterator[Delta | End]:
        """The next message of a conversation, piece by piece."""
        ...


class Speech(Protocol):
    """A voice, and an ear."""

    async def speak(self, guild: str, text: str, language: str | None) -> tuple[bytes, float]:
        """The text spoken, as OGG Opus, and how many seconds it lasts. Raises what is wrong with it."""
        ...

    async def transcribe(self, guild: str, upload: Upload) -> str:
        """The words in a recording. Raises what is wrong with it."""
        ...
