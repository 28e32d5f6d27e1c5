"""One child process: started in a session of its own, waited for until ready, stopped whole."""

import asyncio
import ctypes
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from chorus.common.errors import Unavailable
from chorus.common.settings import bare_environment

PROBE_EVERY = 0.1  # seconds
PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Program:
    """What to run, and how to tell that it is ready."""

    name: str
    command: Sequence[str]
    ready_url: str
    """Answers when the program is ready: a service with 200, a server with anything."""
    environment: Mapping[str, str]
    """Beside what is in ours; settings of Chorus are handed on only when they stand here."""
    folder: Path
    ready_within: float
    """Seconds."""
    any_answer: bool = False
    """Whether an HTTP error, too, means that it is ready (S3 refuses who shows no credentials)."""


class Process:
    """A running program. Its output goes to a log file, which keeps the last run too."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.started_at = time.monotonic()
        self.ready_after: float | None = None
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C in the terminal is for the launcher alone."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("wb") as output:
            self._child = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.program.folder,
                env={**bare_environment(), **self.program.environment},
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        self.started_at = time.monotonic()

    @property
    def child(self) -> asyncio.subprocess.Process:
        """The child itself; only after `start`."""
        if self._child is None:
            raise RuntimeError(f"{self.program.name} was not started")
        return self._child

    async def until_ready(self) -> None:
        """Wait until it answers. Raises `Unavailable` with its last words if it ends, or is too slow."""
        ended = asyncio.create_task(self.child.wait())
        try:
            async with asyncio.timeout(self.program.ready_within):
                while not await asyncio.to_thread(self._answers):
                    await asyncio.wait({ended}, timeout=PROBE_EVERY)
                    if ended.done():
                        raise Unavailable(self.last_words(), code="start_failed")
        except TimeoutError:
            raise Unavailable(
                f"{self.program.name} is not ready after {self.program.ready_within:.0f} s. See {self.log}.",
                code="start_failed",
            ) from None
        finally:
            ended.cancel()
        self.ready_after = time.monotonic() - self.started_at

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.program.ready_url, timeout=2):  # noqa: S310 - http, loopback
                return True
        except urllib.error.HTTPError:
            return self.program.any_answer
        except OSError:
            return False

    def last_words(self) -> str:
        """Why it ended: its own sentence if it said one, or where to look."""
        if said := own_words(self.program.name, self.log):
            return said
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        return (
            f"{self.program.name} ended with exit code {self.child.returncode}. "
            f"Its last words are in {self.log}:\n  " + "\n  ".join(lines[-5:])
        )

    async def ended(self) -> str:
        """Wait for its end; how it ended, in words. Nothing of its session is left then."""
        code = await self.child.wait()
        self._kill_session()
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"

    async def stop(self, grace: float) -> None:
        """Ask it to stop, wait up to `grace` seconds, then end whatever is left of its session."""
        if self._child is None:
            return
        with suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._child.wait(), grace)
        self._kill_session()
        await self._child.wait()

    def _kill_session(self) -> None:
        """End what its process group still holds (vLLM's engine outlives a killed front)."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)


def own_words(name: str, log: Path) -> str:
    """What a service of ours said for people, at its end, of why it cannot start or go on; else nothing."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    saying = (f"{name} cannot start. ", f"{name} cannot go on. ")
    return "\n".join(dropwhile(lambda line: not line.startswith(saying), lines))


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Run in the child: have Linux stop it when the launcher dies, however that dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible is done

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return arrange
