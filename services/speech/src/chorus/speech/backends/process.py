"""An engine in a process of its own: killed when it is too slow, started again when it is needed next."""

import asyncio
import sys
from contextlib import suppress
from typing import Self

import structlog

from chorus.common.errors import InternalError, TimedOut, from_status
from chorus.common.settings import bare_environment
from chorus.speech.voice.ports import Heard, Recording
from chorus.speech.voice.tasks import TOLD, Done, Failed, Frame, HearTask, Ready, SpeakTask, Told

LINE_BYTES = 1024 * 1024  # an hour of words is far below
READY_WITHIN = 60.0  # seconds; a busy machine takes its time to load a model

log = structlog.get_logger()


class EngineProcess:
    """`chorus.speech.child`, while its context is entered. One task at a time: callers take turns."""

    kind: str

    def __init__(self, *, max_seconds: float, within: float) -> None:
        self._max_seconds = max_seconds
        self._within = within
        self._child: asyncio.subprocess.Process | None = None
        self.languages: list[str] = []

    async def __aenter__(self) -> Self:
        await self._running()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def work(self, task: Frame, data: bytes = b"") -> tuple[Done, bytes]:
        """Have a task done.

        Raises what the engine says is wrong, `TimedOut` when it takes longer than it may, and
        `InternalError` when it dies over it.
        """
        child = await self._running()
        try:
            async with asyncio.timeout(self._within):
                await self._tell(child, task, data)
                told, sound = await self._told(child)
        except TimeoutError:
            await self._end()
            raise TimedOut(
                f"This takes longer than {self._within:.0f} s. Try something shorter.", code="speech_too_slow"
            ) from None
        except asyncio.CancelledError:  # what it would answer now is nobody's
            await self._end()
            raise
        except (OSError, EOFError) as error:
            await self._end()
            log.exception("engine died", engine=self.kind, exit_code=child.returncode)
            raise InternalError(
                "The speech engine broke down over this. It starts again by itself.", code="engine_died"
            ) from error
        if isinstance(told, Failed):
            raise from_status(told.status, told.message, told.code, told.param)
        assert isinstance(told, Done)
        return told, sound

    async def _running(self) -> asyncio.subprocess.Process:
        """The child, started if it is not there."""
        if self._child is not None and self._child.returncode is None:
            return self._child
        self._child = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "chorus.speech.child", self.kind],
            stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            env=bare_environment(),  # it reads what strangers send: no keys for it
        )
        try:
            async with asyncio.timeout(READY_WITHIN):
                ready, _ = await self._told(self._child)
        except (TimeoutError, EOFError) as error:
            await self._end()
            raise InternalError(
                f"The engine that should {self.kind} does not start. The log has its last words.",
                code="engine_died",
            ) from error
        assert isinstance(ready, Ready)
        self.languages = ready.languages
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


class SpeakerProcess(EngineProcess):
    """`ports.Speaker`."""

    kind = "speak"
    name = "espeak"

    async def speak(self, text: str, language: str) -> Recording:
        """Say it in one of the languages."""
        task = SpeakTask(text=text, language=language, max_seconds=self._max_seconds)
        done, data = await self.work(task)
        return Recording(data, done.seconds)


class ListenerProcess(EngineProcess):
    """`ports.Listener`."""

    kind = "hear"

    @property
    def language(self) -> str:
        """The one that its model was made for."""
        return self.languages[0]

    async def hear(self, data: bytes, filename: str) -> Heard:
        """Write down an audio file."""
        done, _ = await self.work(HearTask(filename=filename, max_seconds=self._max_seconds), data)
        return Heard(done.text, done.seconds)
