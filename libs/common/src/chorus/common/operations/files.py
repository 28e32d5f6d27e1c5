"""Files of a backup while it is written: nobody else may read them, and a full disk is told as what it is.

Both are made under names that nobody can know before (`mkstemp`): a file that lies there already, or a link,
is never written to.
"""

import io
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chorus.common.errors import InvalidInput, Unavailable


@contextmanager
def new_file(path: Path) -> Generator[IO[bytes]]:
    """A file that appears under its name when it is whole, and never in place of another.

    Raises `Unavailable` where it cannot be written, and `InvalidInput` if somebody was faster.
    """
    with _writes_to(path.parent):
        descriptor, partial = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    try:
        with io.BufferedRandom(_OnDisk(descriptor, path.parent)) as file:
            yield file
            file.flush()
            with _writes_to(path.parent):
                os.fsync(file.fileno())
        with _writes_to(path.parent):
            _publish(Path(partial), path)
    finally:
        Path(partial).unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    """By a second name, because a rename would replace what is there."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise there_already(path) from None


def nameless(folder: Path) -> IO[bytes]:
    """A file in `folder` that is gone when it is closed. Raises `Unavailable` as `new_file` does."""
    with _writes_to(folder):
        descriptor, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
    return io.BufferedRandom(_OnDisk(descriptor, folder))


def there_already(path: Path) -> InvalidInput:
    """The error for a place that is taken."""
    return InvalidInput(f"{path} is there already. Name another file.", code="file_exists", param="file")


class _OnDisk(io.FileIO):
    """An open file whose errors say where there is no room.

    They are told where they arise: those of a lost connection are `OSError`s, too.
    """

    def __init__(self, descriptor: int, folder: Path) -> None:
        super().__init__(descriptor, "r+b")
        self._folder = folder

    def write(self, data: Any) -> int:
        with _writes_to(self._folder):
            return super().write(data)


@contextmanager
def _writes_to(folder: Path) -> Generator[None]:
    """For what does nothing but that."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The backup cannot be written to {folder} ({error.strerror or error}). Make room there, or name "
            "another place.",
            code="not_writable",
        ) from None
