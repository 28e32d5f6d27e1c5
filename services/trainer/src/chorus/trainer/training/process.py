"""The training process: one child a job, in a process group of its own.

A subprocess, so that cancelling frees all memory at once, a crash of the native code costs one job and
not the service, and the event loop never waits for a matrix product (a loop that is blocked for longer
than `ack_wait` loses its job to another worker).
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from pydantic import ValidationError

from chorus.common.errors import InternalError
from chorus.common.settings import bare_environment
from chorus.trainer.training.report import REPORT, Failed, Order, Stage, Step, Trained

LINE_BYTES = 1024 * 1024  # a report holds a few probes of the data, never more than this
SILENT = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
LAST_WORDS = 20  # lines of the child's log that are kept for a crash

log = structlog.get_logger()

Report = Stage | Step | Trained | Failed


class TrainingProcess:
    """A child that trains. Make it with `training_process`."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._last_words: list[str] = []

    async def reports(self) -> AsyncIterator[Report]:
        """What it tells, until it ends. Raises `InternalError` if it ends without a result."""
        assert self._child.stdout is not None
        keeping = asyncio.create_task(self._keep_last_words())
        result: Report | None = None
        async for line in self._child.stdout:
            try:
                result = REPORT.validate_json(line)
            except ValidationError:
                log.warning("unexpected line from the training process", line=line[:200])
                continue
            yield result
        await keeping
        code = await self._child.wait()
        if not isinstance(result, Trained | Failed):
            log.error("training process died", exit_code=code, last_words=self._last_words)
            raise InternalError(
                f"The training process died ({_cause(code)}). The trainer's log has its last words.",
                code="training_process_died",
            )

    async def _keep_last_words(self) -> None:
        assert self._child.stderr is not None
        async for line in self._child.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            log.debug("training process", line=text)
            self._last_words = [*self._last_words[1 - LAST_WORDS :], text]

    async def end(self) -> None:
        """End the whole process group, at once; the memory is free when this returns."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()


@asynccontextmanager
async def training_process(order: Order, folder: Path) -> AsyncGenerator[TrainingProcess]:
    """Start the child on an order; on leaving, whatever happened, nothing of it is left."""
    path = folder / "order.json"
    path.write_text(order.model_dump_json(exclude_none=True), encoding="utf-8")
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "chorus.trainer.child", str(path)],
        stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env={**bare_environment(), **SILENT},
        start_new_session=True,
    )
    process = TrainingProcess(child)
    try:
        yield process
    finally:
        await process.end()


def _cause(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    if -code == signal.SIGKILL:
        return "killed; was there enough memory?"
    return signal.strsignal(-code) or f"signal {-code}"
