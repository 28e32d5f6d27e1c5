"""Programs of their own beside ours: orders go in as lines of JSON, and so do the answers come out."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from chorus.common.local.process import die_with_parent
from chorus.common.settings import bare_environment

ROOT = Path(__file__).parents[3]
READY = "ready"
LONGEST_LINE = 64 * 1024 * 1024  # bytes; log-probabilities of many prompts are one line

Order = dict[str, Any]
Handle = Callable[[Order], Coroutine[Any, Any, Order]]


class Peer:
    """A running program of this package."""

    def __init__(self, child: asyncio.subprocess.Process, log: Path) -> None:
        self._child = child
        self._log = log

    async def ask(self, **order: object) -> Order:
        """Give an order and wait for its answer."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(order).encode() + b"\n")
        await self._child.stdin.drain()
        return await self.hear()

    @property
    def session(self) -> int:
        """Its process group: itself, and what it has started."""
        return self._child.pid

    async def kill(self) -> None:
        """End it without a word."""
        self._child.kill()
        await self._child.wait()

    async def hear(self) -> Order:
        """The next line."""
        assert self._child.stdout is not None
        line = await self._child.stdout.readline()
        assert line, f"a peer has ended; its last words: {self._log.read_text()[-2000:]}"
        answer: Order = json.loads(line)
        return answer


@asynccontextmanager
async def a_peer(
    program: str, *arguments: str, log: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[Peer]:
    """`tests.benchmarks.serving.<program>`, ready; it ends when its input does."""
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", f"tests.benchmarks.serving.{program}", *arguments],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            cwd=ROOT,
            env={**bare_environment(), **(environment or {})},
            limit=LONGEST_LINE,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),
        )
    try:
        peer = Peer(child, log)
        assert await peer.hear() == {READY: True}
        yield peer
    finally:
        assert child.stdin is not None
        child.stdin.close()
        await child.wait()


@contextmanager
def paused(*sessions: int) -> Iterator[None]:
    """Stop these process groups meanwhile: an engine that has nothing to do polls, a tenth of a core."""
    for session in sessions:
        os.killpg(session, signal.SIGSTOP)
    try:
        yield
    finally:
        for session in sessions:
            os.killpg(session, signal.SIGCONT)


# --- in the program itself -----------------------------------------------------------------------
def spoken_apart() -> int:
    """A descriptor of standard output for answers alone: what libraries print goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    os.set_inheritable(answers, False)
    return answers


async def serve(handle: Handle, answers: int) -> None:
    """Say that it is ready, then answer one order after the other until there are no more."""
    with os.fdopen(answers, "w") as out:

        def say(answer: Order) -> None:
            out.write(json.dumps(answer) + "\n")
            out.flush()

        say({READY: True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            say(await handle(json.loads(line)))
