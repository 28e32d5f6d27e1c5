"""The data folder of one machine's Chorus: everything it keeps, held by one stack at a time."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from chorus.common.errors import Misconfigured


class DataFolder:
    """Paths under one folder (`.chorus` in the current directory, by default)."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.keys = self.root / "keys"
        self.nats = self.root / "nats"
        self.s3 = self.root / "s3"
        self.logs = self.root / "logs"
        self.cache = self.root / "cache"

    @contextmanager
    def held(self) -> Generator[None]:
        """Make the folders and keep other stacks out. Raises `Misconfigured` if one is running here."""
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
