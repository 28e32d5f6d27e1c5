"""Files in the console are those of one's own disk: whoever types here may read and write them anyway."""

import asyncio
import filecmp
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from chorus.common.contracts.wire import MIB
from chorus.common.errors import Conflict, InvalidInput, NotFound, TooLarge
from chorus.gateway.commands.ports import Download, Upload


class LocalFiles:
    """`ports.Files` on this machine's disk."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def attached(self) -> list[str]:
        """None: a terminal's line carries no files."""
        return []

    async def read(self, name: str) -> Upload:
        """The file at a path, `~` and the current folder understood. It is opened, and not read yet."""
        path = _path(name)
        try:
            about = path.stat()
            if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device has no end
                raise InvalidInput(f"{name} is not a file.", code="file_unreadable", param="file")
            if about.st_size > self._max_bytes:
                raise TooLarge(
                    f"{name} has {about.st_size / MIB:.1f} MiB; at most {self._max_bytes // MIB} MiB are "
                    "taken. Split it, or raise CHORUS_MAX_LOCAL_UPLOAD.",
                    param="file",
                )
            with path.open("rb"):  # what may not be read is told now
                return Upload(path.name, path)
        except FileNotFoundError:
            raise NotFound(f"There is no file {name}.", code="file_not_found", param="file") from None
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise InvalidInput(
                f"{name} cannot be read: {reason}.", code="file_unreadable", param="file"
            ) from None


async def save(name: str, data: bytes) -> Path:
    """Write a new file, `~` and the current folder understood, and say where it is.

    One that is there with the same bytes will do. Raises `Conflict` when it holds others: nothing is ever
    overwritten.
    """
    path = _path(name)
    with _told_in_words(name):
        await asyncio.to_thread(_write_or_compare, path, data)
    return path


async def save_download(name: str, download: Download) -> Path:
    """Fetch a file of any size, as `save` writes one."""
    path = _path(name)
    with _told_in_words(name), tempfile.TemporaryDirectory() as folder:
        fetched = Path(folder) / "fetched"
        await download.save(fetched)
        await asyncio.to_thread(_copy_or_compare, fetched, path)
    return path


@contextmanager
def _told_in_words(name: str) -> Generator[None]:
    """Why a file cannot be written."""
    try:
        yield
    except FileExistsError:
        raise Conflict(
            f"{name} exists, and nothing is overwritten. Choose another name: `to=…`.", code="file_exists"
        ) from None
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise InvalidInput(f"{name} cannot be written: {reason}.", code="file_unwritable") from None


def _path(name: str) -> Path:
    """The path that a person means, `~` understood. Raises `NotFound` for one that can be nowhere."""
    path = Path(name)
    try:
        path = path.expanduser()
        possible = b"\0" not in os.fsencode(path)
    except (RuntimeError, ValueError):  # the home of nobody; a sign that no file's name can have
        possible = False
    if not possible:
        raise NotFound(f"There can be no file {name!r}.", code="file_not_found", param="file")
    return path


def _write_or_compare(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        if not path.is_file() or path.read_bytes() != data:
            raise


def _copy_or_compare(source: Path, path: Path) -> None:
    try:
        with source.open("rb") as read, path.open("xb") as written:
            shutil.copyfileobj(read, written)
    except FileExistsError:
        if not path.is_file() or not filecmp.cmp(source, path, shallow=False):
            raise
