"""Models on this machine's disk: a folder for each, named by its manifest's hash; the least recently used go.

A folder appears whole, by one rename, and never changes. Its time of modification says when it was last
used, so that this outlives the process. What is held stays: in this process by a count, and for others that
share the cache by a lock (`flock`) on the folder, which ends with its holder, however that ends. Names that
begin with a dot are folders that are not whole yet, or not any more.
"""

import fcntl
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


class Disk:
    """The cache's folder. `limit` in bytes, of all models together; made at the start of a process."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self.limit = limit
        self._reserved = 0  # bytes of what is being fetched
        self._holders = Counter[str]()
        self._locks: dict[str, int] = {}  # open folders, by hash
        self._guard = threading.Lock()  # between looking whether a folder is held, and moving it away
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*"):
            _remove_if_nobodys(left)

    def at(self, sha256: str) -> Path:
        """Where a model is, or would be."""
        return self._folder / sha256

    def sizes(self) -> dict[str, int]:
        """Bytes of each model there is."""
        return {sha256: size for _, sha256, size in self._there()}

    # --- what is in use stays --------------------------------------------------------------------
    @contextmanager
    def hold(self, sha256: str) -> Generator[None]:
        """Keep a model from being dropped, from before it is there."""
        with self._guard:
            self._holders[sha256] += 1
        try:
            yield
        finally:
            with self._guard:
                self._holders[sha256] -= 1
                if not self._holders[sha256]:
                    del self._holders[sha256]
                    self._unlock(sha256)

    def lock(self, sha256: str) -> bool:
        """Keep a model that is held from other processes, too; whether it is there. Marks it as used."""
        with self._guard:
            lock = _locked(self.at(sha256), fcntl.LOCK_SH)  # before the one there is ends: no gap
            self._unlock(sha256)
            if lock is None:
                return False
            self._locks[sha256] = lock
            _touch(lock)
            return True

    def _unlock(self, sha256: str) -> None:
        if (lock := self._locks.pop(sha256, None)) is not None:
            _touch(lock)
            os.close(lock)

    # --- room ------------------------------------------------------------------------------------
    def reserve(self, size: int) -> bool:
        """Have `size` bytes free for what will be fetched, and drop others for it; whether that worked."""
        with self._guard:
            self._reserved += size
            reserved = self._reserved
        there = self._there()  # afterwards: what has come meanwhile is counted twice, rather than not at all
        over = sum(each for _, _, each in there) + reserved - self.limit
        for _, sha256, each in sorted(there):
            if over <= 0:
                break
            over -= each if self.drop(sha256) else 0
        if over > 0:
            self.give_back(size)
        return over <= 0

    def give_back(self, size: int) -> None:
        """What was reserved is there now, or will not come."""
        with self._guard:
            self._reserved -= size

    def drop(self, sha256: str, *, held: int = 0) -> bool:
        """Remove a model; whether it is gone. One that is held by more than `held` of ours stays."""
        away = self._folder / f".removing-{uuid.uuid4().hex}"
        with self._guard:
            if self._holders[sha256] > held:
                return False
            lock = _locked(self.at(sha256), fcntl.LOCK_EX)
            if lock is None:
                return not self.at(sha256).exists()
            with suppress(FileNotFoundError):  # another process was faster
                self.at(sha256).rename(away)
            os.close(lock)
        shutil.rmtree(away, ignore_errors=True)
        return True

    # --- what comes ------------------------------------------------------------------------------
    @contextmanager
    def partial(self) -> Generator[Path]:
        """A folder to fetch into, gone in the end unless it was `finished`."""
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix=".fetching-"))
        lock = _locked(folder, fcntl.LOCK_SH)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if lock is not None:
                os.close(lock)

    def finish(self, partial: Path, sha256: str, *, instead: bool) -> None:
        """Let a whole folder appear: `instead` of what is there, if that is damaged.

        Otherwise what is there stays: another process has fetched the same one meanwhile.
        """
        away = self._folder / f".removing-{uuid.uuid4().hex}"
        with suppress(FileNotFoundError):
            if instead:
                self.at(sha256).rename(away)
        try:
            partial.rename(self.at(sha256))
        except OSError:
            if not self.at(sha256).is_dir():
                raise
        shutil.rmtree(away, ignore_errors=True)

    def _there(self) -> list[tuple[int, str, int]]:
        """Each model: when it was last used, its hash, its bytes."""
        found: list[tuple[int, str, int]] = []
        for folder in self._folder.glob("[!.]*"):
            with suppress(OSError):  # another process may be removing it
                size = sum(path.stat().st_size for path in folder.iterdir())
                found.append((folder.stat().st_mtime_ns, folder.name, size))
        return found


def _locked(folder: Path, kind: int) -> int | None:
    """The folder, open and locked, if it is there and nobody has another lock on it."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    with suppress(OSError):
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
        if os.fstat(opened).st_ino == folder.stat().st_ino:  # and not moved away meanwhile
            return opened
    os.close(opened)
    return None


def _touch(folder: int) -> None:
    """Used now; by a finer clock than the file system's own, which stands still for milliseconds."""
    os.utime(folder, ns=(time.time_ns(), time.time_ns()))


def _remove_if_nobodys(folder: Path) -> None:
    """Remove what a process has left that was killed while it fetched; not what one fetches now."""
    lock = _locked(folder, fcntl.LOCK_EX)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
