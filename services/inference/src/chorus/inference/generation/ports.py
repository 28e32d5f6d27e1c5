"""What is needed of an engine: four methods to work with, four more to keep it alive."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Finish, Sampling, Waiting

Tell = Callable[[Waiting], Awaitable[None]]
"""Tells whoever asked why the answer is not there yet."""


async def unheard(_: Waiting) -> None:
    """`Tell` where nobody listens."""


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
    """An answer to write, or several to the same prompt (`sampling.n`)."""

    id: str
    prompt: list[int]
    turns: list[Turn]
    """What the prompt was made of: for engines that lay out conversations themselves."""
    sampling: Sampling
    adapter: Adapter | None
    guild: str
    """Who asks: what is computed for one guild is not found again by another, which could time it."""
    tell: Tell = unheard
    again: bool = True
    """Whether the next engine is asked, where this one dies before the first piece."""


@dataclass(frozen=True)
class Piece:
    """The next part of an answer; the last one of each says why it ended."""

    text: str
    tokens: int
    finish_reason: Finish | None = None
    choice: int = 0
    """Which of several answers it belongs to."""


class Engine(Protocol):
    """Writes answers, many at a time."""

    window: int
    """Tokens of prompt and answer together."""
    max_rank: int
    """The highest rank of an adapter it takes; 0 if it takes none."""
    capacity: int
    """Adapters that it holds at a time."""

    async def load(self, adapter: Adapter) -> None:
        """Make an adapter ready to answer. Raises `InvalidInput` if the engine does not take it."""
        ...

    async def unload(self, adapter: Adapter) -> None:
        """Forget an adapter that nobody uses: from then on its folder may go."""
        ...

    def generate(self, work: Work) -> AsyncGenerator[Piece, None]:
        """Write answers; leaving the iterator stops the writing. Raises `Unavailable` when it is dead."""
        ...

    async def score(self, tokens: list[int], start: int, adapter: Adapter | None) -> list[float]:
        """Log-probability (nats) of each of `tokens[start:]`, given all before it. `start` is at least 1."""
        ...


class RunningEngine(Engine, Protocol):
    """An engine that was started, and may die."""

    def wrong(self) -> str | None:
        """Why it cannot answer any more, if it cannot."""
        ...

    async def sleep(self) -> None:
        """Give the accelerator's memory back, until `wake`. Nothing is being written meanwhile."""
        ...

    async def wake(self) -> None:
        """Be as ready as before `sleep`; adapters may have to be loaded anew."""
        ...

    def close(self) -> None:
        """End it, and everything it started."""
        ...
