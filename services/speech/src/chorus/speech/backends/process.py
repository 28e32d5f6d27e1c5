"""An engine in a process of its own: killed when it is too slow, started again when it is needed next."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import structlog

from chorus.common.errors import ChorusError, InternalError, Misconfigured, TimedOut, from_status
from chorus.common.settings import bare_environment
from chorus.speech.voice.tasks import TOLD, Done, Failed, Frame, Partly, Ready, Told

LINE_BYTES = 1024 * 1024  # an hour of words is far below
READY_WITHIN = 60.0  # seconds; a busy machine takes its time to load a model

OnPart = Callable[[Partly], Awaitable[None]]

log = structlog.get_logger()


async def _nobody(_: Partly) -> None:
    """Nobody wants to know before it is done."""


class EngineProcess:
    """`chorus.speech.child`, while its context is entered. One task at a time: callers take turns."""

    kind: str

    def __init__(self, *, within: float, options: str) -> None:
        self._within = within
        self._options = options
        self._child: asyncio.subprocess.Process | None = None
        self.languages: list[str] = []
        self.voices: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        await self._running()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def work(self, task: Frame, data: bytes = b"", on_part: OnPart = _nobody) -> tuple[Done, bytes]:
        """Have a task done. `on_part` is given what is there so far; each such part gives it its time anew.

        Raises what the engine says is wrong, `TimedOut` when it takes longer than it may, and
        `InternalError` when it dies over it.
        """
        child = await self._running()
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self._within) as limit:
                await self._tell(child, task, data)
                while isinstance((answer := await self._told(child))[0], Partly):
                    await on_part(answer[0])
                    limit.reschedule(clock() + self._within)
        except TimeoutError:
            await self._end()
            raise TimedOut(
                f"This takes longer than {self._within:.0f} s. Try something shorter.", code="speech_too_slow"
            ) from None
        except (asyncio.CancelledError, ChorusError):  # what it would answer now is nobody's
            await self._end()
            raise
        except (OSError, EOFError) as error:
            await self._end()
            log.exception("engine died", engine=self.kind, exit_code=child.returncode)
            raise InternalError(
                "The speech engine broke down over this. It starts again by itself.", code="engine_died"
            ) from error
        told, sound = answer
        if isinstance(told, Failed):
            raise from_status(told.status, told.message, told.code, told.param)
        assert isinstance(told, Done)
        return told, sound

    async def _running(self) -> asyncio.subprocess.Process:
        """The child, started if it is not there."""
        if self._child is not None and self._child.returncode is None:
            return self._child
        self._child = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "chorus.speech.child", self.kind, self._options],
            stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env=bare_environment(),  # it reads what strangers send: no keys for it
        )
        try:
            async with asyncio.timeout(READY_WITHIN):
                ready, _ = await self._told(self._child)
        except asyncio.CancelledError:  # one that was not heard to be ready is of no use
            await self._end()
            raise
        except (TimeoutError, OSError, EOFError) as error:
            await self._end()
            raise InternalError(
                f"The engine that should {self.kind} does not start. The log has its last words.",
                code="engine_died",
            ) from error
        if isinstance(ready, Failed):
            await self._end()
            raise Misconfigured(ready.message)
        assert isinstance(ready, Ready)
        self.languages, self.voices = ready.languages, ready.voices
        return self._child

    @staticmethod
    async def _tell(child: asyncio.subprocess.Process, task: Frame, data: bytes) -> None:
        assert child.stdin is not None
        line = task.model_copy(update={"size": len(data)}).model_dump_json()
        child.stdin.write(line.encode() + b"\n" + data)
        await child.stdin.drain()

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
