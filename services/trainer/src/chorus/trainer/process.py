"""A child that does one heavy thing: in a process group of its own, telling how it goes in lines of JSON.

    python -m chorus.trainer.<program> ORDER.json

The parent's end is `child_process`; the child calls `attached` first. The child's standard input is its
lifeline, and the way to ask it to pause.

A subprocess, so that cancelling frees all memory at once, a crash of native code or a hostile file costs
one request and not the service, and the event loop never waits for a matrix product (a loop that is
blocked for longer than `ack_wait` loses its job to another worker).
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError

from chorus.common.contracts.wire import now
from chorus.common.errors import InternalError
from chorus.common.settings import bare_environment

LINE_BYTES = 4 * 1024 * 1024  # a report holds a few samples of the data, never more than this
SILENT = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
ENDS_WITHIN = 10.0  # seconds from a kill to the last of its ranks
LAST_WORDS = 20  # lines of the child's log that are kept for a crash
PAUSE = b"pause\n"

log = structlog.get_logger()

Report = TypeVar("Report")


class Child(Generic[Report]):
    """A running child. Make it with `child_process`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        name: str,
        reports: TypeAdapter[Report],
        last: tuple[type, ...],
    ) -> None:
        self._process = process
        self._name = name
        self._reports = reports
        self._last = last
        self._last_words: list[str] = []

    async def reports(self) -> AsyncIterator[Report]:
        """What it tells, until it ends. Raises `InternalError` if it ends without a result."""
        assert self._process.stdout is not None
        keeping = asyncio.create_task(self._keep_last_words())
        report: Report | None = None
        async for line in self._process.stdout:
            try:
                report = self._reports.validate_json(line)
            except ValidationError:
                log.warning("unexpected line from a child", child=self._name, line=line[:200])
                continue
            yield report
        await keeping
        code = await self._process.wait()
        if not isinstance(report, self._last):
            log.error("child died", child=self._name, exit_code=code, last_words=self._last_words)
            raise InternalError(
                f"The {self._name} process died ({_cause(code)}). The trainer's log has its last words.",
                code=f"{self._name}_process_died",
            )

    async def _keep_last_words(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            log.debug("child", child=self._name, line=text)
            self._last_words = [*self._last_words[1 - LAST_WORDS :], text]

    async def pause(self) -> None:
        """Ask it to save what it has done and end; what it says then comes with its reports."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # it has ended already
            self._process.stdin.write(PAUSE)
            await self._process.stdin.drain()

    async def end(self) -> None:
        """End all of it, at once; the memory is free when this returns, or a warning is in the log.

        Ranks that torchrun has started are in sessions of their own: they end because their standard input
        does, and their end is seen by our end of their standard output.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                while await self._process.stdout.read(LINE_BYTES):
                    pass
                await self._process.wait()
        except TimeoutError:
            log.warning("something of a child is left", child=self._name, pid=self._process.pid)


@asynccontextmanager
async def child_process(
    program: str,
    name: str,
    order: BaseModel,
    folder: Path,
    reports: TypeAdapter[Report],
    *,
    last: tuple[type, ...],
    environment: Mapping[str, str] | None = None,
    ranks: int = 1,
) -> AsyncGenerator[Child[Report]]:
    """Start a program on an order; on leaving, whatever happened, nothing of it is left.

    `name` is for people and for the error's code; `last` are the reports after which it may end. More than
    one of `ranks` share the work: torchrun starts them, and the first one tells.
    """
    path = folder / "order.json"
    path.write_text(order.model_dump_json(exclude_none=True), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, *_shared(ranks, folder), "-m", f"chorus.trainer.{program}", str(path)],
        stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env={**bare_environment(), **SILENT, **(environment or {})},
        start_new_session=True,
    )
    child = Child(process, name, reports, last)
    try:
        yield child
    finally:
        await child.end()


def _shared(ranks: int, folder: Path) -> list[str]:
    """What comes before the module where several processes share the work: torchrun, with a folder for it."""
    if ranks == 1:
        return []
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--log-dir", str(folder / "torchrun")]
    return [*torchrun, "--nproc-per-node", str(ranks)]


def _cause(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    if -code == signal.SIGKILL:
        return "killed; was there enough memory?"
    return signal.strsignal(-code) or f"signal {-code}"


# --- the child's end -----------------------------------------------------------------------------
def attached() -> tuple[Callable[[BaseModel], None], threading.Event]:
    """In a child: end when the parent does, keep what libraries print for the log.

    Returns how to tell, and an event that is set when the parent asks for a pause. Of several ranks only
    the first one tells; and only one of them, any, sees that a pause is asked for.
    """
    asked = threading.Event()
    threading.Thread(target=_obey, args=(asked,), daemon=True).start()
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    one_at_a_time = threading.Lock()
    tells = os.environ.get("RANK", "0") == "0"  # as torchrun numbers them

    def tell(report: BaseModel) -> None:
        if tells:
            with one_at_a_time:
                print(report.model_dump_json(exclude_none=True), file=reports, flush=True)

    return tell, asked


def end_at(until: datetime) -> None:
    """In a child: end then, in whatever it does, and whether the parent is awake or not."""
    ending = threading.Timer((until - now()).total_seconds(), os._exit, (1,))
    ending.daemon = True
    ending.start()


def _obey(asked: threading.Event) -> None:
    """Standard input is a pipe from the parent: a line in it asks for a pause, its end is the parent's."""
    while os.read(0, len(PAUSE)):
        asked.set()
    os._exit(1)
