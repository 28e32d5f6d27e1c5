"""What a format of several files is: a folder, mostly in a ZIP."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.source import Source


class Files(Protocol):
    """Files by name, with `/` between folders; each is on the disk only while it is looked at."""

    @property
    def names(self) -> Sequence[str]:
        """All of them, in order."""
        ...

    def start(self, name: str) -> bytes:
        """Some of the first bytes of this file."""
        ...

    def open(self, name: str) -> AbstractContextManager[Source]:
        """This file, as long as the context lasts."""
        ...


@dataclass(frozen=True)
class Plan:
    """How the files of a folder are read."""

    parts: Iterable[tuple[str, Reader | None]]
    """Which file is read how; without a reader by what is in it."""
    defaults: dict[str, object] = field(default_factory=dict)
    """What the folder says about the build: fields of `BuildOptions`, for those that nobody has set."""


@dataclass(frozen=True)
class FolderReader:
    """A format of several files, told by their names."""

    name: str
    takes: Callable[[Sequence[str]], set[str]]
    """Those of the files that belong to it, whether or not they are read. Empty: it is another format."""
    plan: Callable[[Files, set[str]], Plan]
    """How those are read. Raises `InvalidInput` for a folder that is not what it looks like."""


def parent(name: str) -> str:
    """The folder that a file is in, with its last `/`; empty at the top."""
    return name[: name.rfind("/") + 1]


def base(name: str) -> str:
    """The name without folders."""
    return name[name.rfind("/") + 1 :]
