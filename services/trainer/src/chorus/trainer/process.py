"""Children that do one heavy thing each, in process groups of their own, and tell it in lines of JSON.

    child_process   starts a program for one order
    Standby         keeps programs that have imported what they need, and forks one for each order

The child's end is `chorus.trainer.attached`. The child's standard input is its lifeline, the way to name an
order, and the way to ask it to pause.

A subprocess, so that cancelling frees all memory at once, a crash of native code or a hostile file costs
one request and not the service, and the event loop never waits for a matrix product (a loop that is
blocked for longer than `ack_wait` loses its job to another worker).
"""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError

from chorus.common.errors import InternalError
from chorus.common.settings import bare_environment
from chorus.trainer.attached import ENDED, PAUSE

LINE_BYTES = 4 * 1024 * 1024  # a report holds a few samples of the data, never more than this
SILENT = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
ENDS_WITHIN = 10.0  # seconds from a kill to the last of its ranks
IDLE = 2  # processes of a program that stand by; more were needed at one time, and are not kept
LAST_WORDS = 20  # lines of the child's log that are kept for a crash

log = structlog.get_logger()

Report = TypeVar("Report")


@dataclass(frozen=True)
class Program(Generic[Report]):
    """What a child runs."""

    module: str
    """In `chorus.trainer`; see `chorus.trainer.attached`."""
    name: str
    """For people, and for the error's code."""
    reports: TypeAdapter[Report]
    last: tuple[type, ...]
    """Kinds of report after which it may end."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def arguments(self) -> tuple[str, ...]:
        """Python's, to run it."""
        return "-m", f"chorus.trainer.{self.module}"


class Host:
    """A process that works on one order at a time."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._quiet = asyncio.Event()
        self._listening = asyncio.create_task(self._keep_last_words())
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self.exit_code: int | None = None
        """Of the last order, once it has ended: as a process's, negative for a signal."""

    @classmethod
    async def start(cls, name: str, *arguments: str, environment: Mapping[str, str]) -> Self:
        """Start Python with these arguments."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env={**bare_environment(), **SILENT, **environment},
            start_new_session=True,
        )
        return cls(process, name)

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.returncode is None

    def step_back(self, niceness: int) -> None:
        """Leave the cores to others who want them, by so much: sched(7)."""
        with suppress(ProcessLookupError, PermissionError):  # it has died; it has less already
            os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)
        with suppress(OSError):  # a kernel that does not weigh sessions before what is in them
            Path(f"/proc/{self._process.pid}/autogroup").write_text(str(niceness))

    async def take(self, order: Path) -> None:
        """Begin with an order."""
        self.exit_code = None
        self.last_words.clear()
        self._quiet.clear()
        await self.write(os.fsencode(order))

    async def write(self, line: bytes) -> None:
        """A line for it; lost if it has ended already, which its output tells."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()

    async def output(self) -> AsyncIterator[bytes]:
        """Lines that it prints, until the order or all of it has ended."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(ENDED):
                self.exit_code = int(line.removeprefix(ENDED))
                break
            if not line.isspace():
                yield line
        else:
            self.exit_code = await self._process.wait()
        await self._quiet.wait()

    async def settled(self) -> bool:
        """Whether it waits for the next order: it ends the last one soon after it has told the result."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                while self.exit_code is None:
                    _ = [line async for line in self.output()]
        return self.exit_code is not None and self.alive

    async def _keep_last_words(self) -> None:
        assert self._process.stderr is not None
        try:
            async for line in self._process.stderr:
                if line.startswith(ENDED):
                    self._quiet.set()
                elif text := line.decode("utf-8", "replace").rstrip():
                    log.debug("child", child=self._name, line=text)
                    self.last_words.append(text)
        finally:
            self._quiet.set()

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
                await asyncio.wait([self._listening])
        except TimeoutError:
            log.warning("something of a child is left", child=self._name, pid=self._process.pid)
            self._listening.cancel()


class Child(Generic[Report]):
    """An order that is done. Make it with `child_process`, or with `Standby.child`."""

    def __init__(self, host: Host, program: Program[Report]) -> None:
        self._host = host
        self._program = program
        self.told = False
        """Whether it has told its result."""

    async def reports(self) -> AsyncIterator[Report]:
        """What it tells, until it ends. Raises `InternalError` if it ends without a result."""
        async for line in self._host.output():
            try:
                report = self._program.reports.validate_json(line)
            except ValidationError:
                log.warning("unexpected line from a child", child=self._program.name, line=line[:200])
                continue
            self.told = isinstance(report, self._program.last)
            yield report
        if not self.told:
            name, code, last_words = self._program.name, self._host.exit_code or 0, self._host.last_words
            log.error("child died", child=name, exit_code=code, last_words=list(last_words))
            raise InternalError(
                f"The {name} process died ({_cause(code)}). The trainer's log has its last words.",
                code=f"{name}_process_died",
            )

    async def pause(self) -> None:
        """Ask it to save what it has done and end; what it says then comes with its reports."""
        await self._host.write(PAUSE)


@asynccontextmanager
async def child_process(
    program: Program[Report], order: BaseModel, folder: Path, *, ranks: int = 1
) -> AsyncGenerator[Child[Report]]:
    """Start a program on an order; on leaving, whatever happened, nothing of it is left.

    More than one of `ranks` share the work: torchrun starts them, and the first one tells.
    """
    path = _written(order, folder)
    arguments = (*_torchrun(ranks, folder), *program.arguments, str(path))
    host = await Host.start(program.name, *arguments, environment=program.environment)
    try:
        yield Child(host, program)
    finally:
        await host.end()


class Standby(Generic[Report]):
    """A program that stands by: its children are forks of a process that has imported it already.

    They step back by so much `niceness` for what answers people.
    """

    def __init__(self, program: Program[Report], niceness: int = 0) -> None:
        self._program = program
        self._niceness = niceness
        self._idle: list[Host] = []

    async def __aenter__(self) -> Self:
        return self

    async def warm(self, after: float) -> None:
        """Have a process import so many seconds from now, while nobody waits."""
        await asyncio.sleep(after)
        if not self._idle:
            self._idle.append(await self._host())

    async def __aexit__(self, *_: object) -> None:
        for host in self._idle:
            await host.end()

    @asynccontextmanager
    async def child(self, order: BaseModel, folder: Path) -> AsyncGenerator[Child[Report]]:
        """Do an order; on leaving, whatever happened, nothing of it is left."""
        path = _written(order, folder)
        host = await self._host()
        child = Child(host, self._program)
        try:
            await host.take(path)
            yield child
        finally:
            if child.told and await host.settled() and len(self._idle) < IDLE:
                self._idle.append(host)
            else:
                await host.end()

    async def _host(self) -> Host:
        while self._idle:
            if (host := self._idle.pop()).alive:
                return host
            await host.end()
        program = self._program
        host = await Host.start(program.name, *program.arguments, environment=program.environment)
        host.step_back(self._niceness)
        return host


def _written(order: BaseModel, folder: Path) -> Path:
    path = folder / "order.json"
    path.write_text(order.model_dump_json(exclude_none=True), encoding="utf-8")
    return path


def _torchrun(ranks: int, folder: Path) -> list[str]:
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
