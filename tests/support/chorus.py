"""All of Chorus as a person starts it: `chorus up`, with a pipe for a keyboard."""

import json
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from chorus.common.bus.connection import Connection, connect

READY_WITHIN = 240.0  # seconds; a busy machine may take its time to load vLLM
ANSWER_WITHIN = 120.0
STOP_WITHIN = 90.0


class RunningChorus:
    """`chorus up`, ready. Lines go in, what a person would see comes out."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, errors: Path) -> None:
        self.process = process
        self.folder = folder
        self.errors = errors
        self.asked = False
        self._output: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._output.put(line.rstrip("\n"))
        self._output.put(None)

    def until_ready(self) -> dict[str, str]:
        """Wait until `stack.json` says where everything is."""
        path = self.folder / "stack.json"
        give_up_at = time.monotonic() + READY_WITHIN
        while not path.exists():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < give_up_at, self.errors.read_text()
            time.sleep(0.1)
        where: dict[str, str] = json.loads(path.read_text())
        return where

    def say(self, *lines: str) -> list[str]:
        """Type lines; returns everything that is shown until the last of them is answered.

        A command that does not exist follows them: its complaint marks the end.
        """
        self.asked = True
        marker = f"m{uuid.uuid4().hex}"
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in (*lines, f"!{marker}")))
        self.process.stdin.flush()
        shown: list[str] = []
        while True:
            line = self._output.get(timeout=ANSWER_WITHIN)
            assert line is not None, self.errors.read_text()
            if marker not in line:
                shown.append(line)
            elif not line.startswith("chorus> "):
                return shown

    def script(self, text: str, folder: Path) -> tuple[int, list[str]]:
        """Have a gateway of its own run a script, as in `make run < script`: its exit code, what it shows."""
        done = subprocess.run(
            [sys.executable, "-m", "chorus.gateway"],
            cwd=folder,
            env={**os.environ, **self.environment("gateway")},
            input=text,
            stdout=subprocess.PIPE,
            text=True,
            timeout=ANSWER_WITHIN,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    def environment(self, user: str) -> dict[str, str]:
        """What a program that joins as `user` needs to find and open everything."""
        where = json.loads((self.folder / "stack.json").read_text())
        return {
            "CHORUS_NATS_URL": where["nats"],
            "CHORUS_NATS_NKEY_FILE": str(self.folder / "keys" / f"{user}.nk"),
            "CHORUS_S3_ENDPOINT": where["s3"],
            "CHORUS_S3_ACCESS_KEY": user,
            "CHORUS_S3_SECRET_KEY": (self.folder / "keys" / f"{user}.s3").read_text(),
            "CHORUS_CACHE": str(self.folder / "cache"),
            "CHORUS_CONSOLE": "true",
        }

    def pid(self, *words: str) -> int:
        """The process that has these words in its command line; of one and its fork, the fork."""
        return max(
            pid
            for pid in session_pids(self.process.pid)
            if all(word in Path(f"/proc/{pid}/cmdline").read_text().split("\0") for word in words)
        )

    def until_told(self, words: str, times: int = 1) -> None:
        """Wait until the stack has said this so often, beside the console."""
        give_up_at = time.monotonic() + READY_WITHIN
        while self.errors.read_text().count(words) < times:
            assert time.monotonic() < give_up_at, self.errors.read_text()
            time.sleep(0.1)

    def connected(self, user: str) -> AbstractAsyncContextManager[Connection]:
        """A connection to its NATS as `user`."""
        url = json.loads((self.folder / "stack.json").read_text())["nats"]
        key = self.folder / "keys" / f"{user}.nk"
        return connect(url, user=user, nkey_file=key, on_closed=lambda reason: None)

    def end(self) -> int:
        """End its input, and wait for its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(STOP_WITHIN)


@contextmanager
def started(folder: Path, **environment: str) -> Iterator[RunningChorus]:
    """`chorus up` on an empty folder, not yet ready; killed on leaving if it still runs."""
    errors = folder / "stderr.txt"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [str(Path(sysconfig.get_path("scripts")) / "chorus"), "up"],
            cwd=folder,  # where no .env of a developer lies
            env={**os.environ, "CHORUS_DATA": str(folder), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    running = RunningChorus(process, folder, errors)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):  # the console, too: while it holds the pipe, reading never ends
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        running.reader.join(10)
        for stream in (process.stdin, process.stdout):
            _close(stream)


@contextmanager
def chorus_up(folder: Path, **environment: str) -> Iterator[RunningChorus]:
    """`chorus up`, ready; ended as a person ends it, and then nothing of it may be left."""
    with started(folder, **environment) as running:
        running.until_ready()
        pids = session_pids(running.process.pid)
        assert len(pids) > 5, "NATS, S3, trainer, inference, vLLM's processes and the gateway run"
        yield running
        assert running.end() == int(running.asked), "the marker that ends each question is no command"
        assert not still_running(pids)
        assert not (folder / "chorus-tmp").exists(), "no temporary file is left"


def session_pids(root: int) -> set[int]:
    """The process and all that it has started, by parentage."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def still_running(pids: set[int]) -> set[int]:
    """Those that still run (a zombie does not)."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


def _close(stream: IO[str] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass
