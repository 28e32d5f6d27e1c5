"""What is needed of an engine: four methods."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from chorus.common.contracts.generation import Sampling


@dataclass(frozen=True)
class Adapter:
    """An adapter on this machine's disk, checked. Its folder never changes, and stays while in use."""

    name: str
    """`guild/model@version`: for logs."""
    sha256: str
    """Of its manifest: the same hash is the same adapter."""
    folder: Path


@dataclass(frozen=True)
class Work:
    """One answer to write."""

    id: str
    prompt: list[int]
    sampling: Sampling
    adapter: Adapter | None


@dataclass(frozen=True)
class Piece:
    """The next part of an answer; the last one says why it ended."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length"] | None = None


class Engine(Protocol):
    """Writes answers, many at a time."""

    window: int
    """Tokens of prompt and answer together."""
    max_rank: int
    """The highest rank of an adapter it takes."""

    async def load(self, adapter: Adapter) -> None:
        """Make an adapter ready to answer. Raises `InvalidInput` if the engine does not take it."""
        ...

    def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """Write an answer; leaving the iterator stops the writing. Raises `Unavailable` when it is dead."""
        ...

    def wrong(self) -> str | None:
        """Why it cannot answer any more, if it cannot."""
        ...

    def close(self) -> None:
        """End it, and everything it started."""
        ...
