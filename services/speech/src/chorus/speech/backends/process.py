"""An engine in a process of its own: killed when it is too slow, started again when it is needed next."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Self

import structlog

from chorus.common.errors import InternalError, Misconfigured, TimedOut, from_status
from chorus.common.settings import bare_environment
from chorus.speech.voice.ports import unheeded
from chorus.speech.voice.tasks import TOLD, Done, Failed, Frame, Partly, Ready, Told

LINE_BYTES = 1024 * 1024  # an hour of words is far below
READY_WITHIN = 60.0  # seconds; a busy machine takes its time to load a model

OnPart = Callable[[Partly, bytes], Awaitable[None]]

log = structlog.get_logger()


class EngineProcess:
    """`chorus.speech.child`, while its context is entered. One task at a time: callers take turns."""

    kind: str

    def __init__(self, *, within: float, options: str, whole: float = inf) -> None:
        """`within` are the seconds for each of its words, `whole` those for a task."""
        self._within = within
        self._whole = whole
        self._options = options
        self._child: asyncio.subprocess.Process | None = None
        self.languages: list[str] = []
        self.voices: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        await self._running()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def work(self, task: Frame, data: bytes = b"", on_part: OnPart = unheeded) -> tuple[Done, bytes]:
        """Have a task done. `on_part` is given what is there so far; each such part gives it its time anew.

        What `on_part` takes is not counted. Raises what the engine says is wrong, `TimedOut` when it takes
        longer than it may, and `InternalError` when it dies over it.
        """
        child = await self._running()
        clock = asyncio.get_running_loop().time
        left, began = self._whole, clock()
        try:
            told, sound = await self._soon(child, self._asked(child, task.packed(data)), left)
            while isinstance(told, Partly):
                left -= clock() - began
                await on_part(told, sound)
                began = clock()
                told, sound = await self._soon(child, self._told(child), left)
        except BaseException:  # what it would answer now is nobody's
            await self._end()
            raise
        if isinstance(told, Failed):
            raise from_status(told.status, told.message, told.code, told.param, told.retry_after)
        assert isinstance(told, Done)
        return told, sound

    async def _soon(
        self, child: asyncio.subprocess.Process, answer: Awaitable[tuple[Told, bytes]], left: float
    ) -> tuple[Told, bytes]:
        """What it tells next, within its time, and the seconds that are left of the whole."""
        try:
            async with asyncio.timeout(min(self._within, left)):
                return await answer
        except TimeoutError:
            longest = self._within if self._within < left else self._whole
            raise TimedOut(
                f"This takes longer than {longest:.0f} s. Try something shorter.", code="speech_too_slow"
            ) from None
        except (OSError, EOFError, ValueError) as error:
            await self._end()
            log.exception("engine died", engine=self.kind, exit_code=child.returncode)
            raise InternalError(
                "The speech engine broke down over this. It starts again by itself.", code="engine_died"
            ) from error

    async def _running(self) -> asyncio.subprocess.Process:
        """The child, started if it is not there."""
        if self._child is not None and self._child.returncode is None:
            return self._child
        try:
            async with asyncio.timeout(READY_WITHIN):
                self._child = child = await self._started()
                ready, _ = await self._told(child)
            if isinstance(ready, Failed):
                raise Misconfigured(ready.message)
        except (OSError, EOFError, ValueError) as error:  # that it takes too long is an OSError, too
            await self._end()
            raise InternalError(
                f"The engine that should {self.kind} does not start. The log has its last words.",
                code="engine_died",
            ) from error
        except BaseException:  # one that was not heard to be ready is of no use
            await self._end()
            raise
        assert isinstance(ready, Ready)
        self.languages, self.voices = ready.languages, ready.voices
        return child

    async def _started(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "chorus.speech.child", self.kind, self._options],
            stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env=bare_environment(),  # it reads what strangers send: no keys for it
        )

    async def _asked(self, child: asyncio.subprocess.Process, task: bytes) -> tuple[Told, bytes]:
        assert child.stdin is not None
        child.stdin.write(task)
        await child.stdin.drain()
        return await self._told(child)

    @staticmethod
    async def _told(child: asyncio.subprocess.Process) -> tuple[Told, bytes]:
        assert child.stdout is not None
        line = await child.stdout.readline()
        if not line:
            raise EOFError("the process ended")
        told = TOLD.validate_json(line)
        return told, await child.stdout.readexactly(told.size)

    async def _end(self) -> None:
        """End it at once: it keeps nothing."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
            self._child = None
