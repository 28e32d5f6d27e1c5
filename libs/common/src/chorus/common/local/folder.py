"""The data folder of one machine's Chorus: everything it keeps, held by one stack at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from chorus.common.errors import Misconfigured

ROOM = 300 * 1024**2  # bytes: what logs, streams and a few small models need; below it the S3 server fails
LONGEST_TMP = 70  # bytes: vLLM makes sockets there, whose path ends at 107, by names of 36


class DataFolder:
    """Paths under one folder (`.chorus` in the current directory, by default)."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.keys = self.root / "keys"
        self.nats = self.root / "nats"
        self.s3 = self.root / "s3"
        self.logs = self.root / "logs"
        self.cache = self.root / "cache"
        self.tmp = self.root / "chorus-tmp"
        """For what lives no longer than the stack; a name of ours alone, for it is deleted."""
        self.stack = self.root / "stack.json"
        """Says where everything is, while a stack runs."""
        self.prometheus = self.root / "prometheus.json"
        """Says the same to Prometheus (deploy/prometheus/one-machine.yml)."""

    @contextmanager
    def held(self) -> Generator[None]:
        """Make the folders and keep other stacks out. Raises `Misconfigured` if that cannot be."""
        with self._locked():
            free = shutil.disk_usage(self.root).free
            if free < ROOM:
                raise Misconfigured(
                    f"CHORUS_DATA: {free / 1e6:.0f} MB are free in {self.root}, and {ROOM / 1e6:.0f} MB are "
                    "needed. Make room, or name another folder."
                )
            shutil.rmtree(self.tmp, ignore_errors=True)  # of a stack that was killed
            for stale in (self.stack, self.prometheus):
                stale.unlink(missing_ok=True)
            if len(os.fsencode(self.tmp)) > LONGEST_TMP:
                self.tmp = Path(tempfile.mkdtemp(prefix="chorus-"))
            self.tmp.mkdir(mode=0o700, exist_ok=True)
            try:
                yield
            finally:
                shutil.rmtree(self.tmp, ignore_errors=True)

    def is_held(self) -> bool:
        """Whether a stack runs on it now."""
        try:
            with (self.root / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def _locked(self) -> Generator[None]:
        try:
            for folder in (self.keys, self.nats, self.s3, self.logs, self.cache):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.root / "lock").open("w")
        except OSError as error:
            raise Misconfigured(f"CHORUS_DATA: {self.root} cannot be written ({error.strerror}).") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Misconfigured(
                    f"Chorus already runs on {self.root}. Stop it, or set CHORUS_DATA to another folder."
                ) from None
            yield
