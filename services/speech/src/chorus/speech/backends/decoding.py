"""Strangers' audio files, each decoded in a process of its own: a fork of one that stands by.

What stands by (`chorus.speech.decoder`) is started ahead, and kept as long as no file breaks its fork.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from signal import SIGKILL
from typing import Self

import structlog

from chorus.common.errors import InvalidInput, Unavailable, from_status
from chorus.common.settings import bare_environment
from chorus.speech.voice.sound import Sound
from chorus.speech.voice.tasks import LINE_BYTES, TOLD, DecodeTask, Done, Failed, Told

RATE = 16_000  # samples a second: as engines that hear want them
AT_ONCE = 2  # processes at work; the limits of each hold for so many
WITHIN = 30.0  # seconds that one may take; the CPU's time it watches over itself

log = structlog.get_logger()


class Killed(EOFError):
    """Somebody else has ended it, such as a kernel that wants memory back: the file need not be why."""


class Decoders:
    """`ports.Decoder`, while its context is entered."""

    def __init__(self, *, max_seconds: float, within: float = WITHIN) -> None:
        self._max_seconds = max_seconds
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._idle: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        self._idle.append(await _start())
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in self._idle:
            await _end(child)

    async def decode(self, data: bytes, filename: str) -> Sound:
        """The file's first track: 16 kHz, mono, as far as it may last.

        Raises `InvalidInput` for what is no recording, is silent, or breaks or exhausts the decoder,
        `TooLarge` for one that is too long, `Unavailable` where no process can be started.
        """
        try:
            async with self._turns:
                try:
                    told, samples = await self._tried(data, filename)
                except Killed:
                    told, samples = await self._tried(data, filename)
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            log.warning("decoder gave up", bytes=len(data), error=repr(error))
            raise InvalidInput(
                f"{filename} cannot be decoded: it takes too much time or memory. Send it as OGG or MP3.",
                code="unreadable_audio",
                param="audio",
            ) from None
        if isinstance(told, Failed):
            raise from_status(told.status, told.message, told.code, told.param)
        return Sound(samples, RATE)

    async def _tried(self, data: bytes, filename: str) -> tuple[Told, bytes]:
        async with self._process() as child, asyncio.timeout(self._within):
            return await self._told(child, data, filename)

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        child = await self._next()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_end, child)
            yield child
            stack.pop_all()  # its fork has done its work, and ended
        self._idle.append(child)

    async def _next(self) -> asyncio.subprocess.Process:
        """The one that was used last, if it is still there; otherwise a new one."""
        while self._idle:
            if (child := self._idle.pop()).returncode is None:
                return child
        try:
            return await _start()
        except OSError as error:
            log.exception("no decoder")
            raise Unavailable(
                "This machine cannot start a decoder now. Try again in a minute.", code="no_decoder"
            ) from error

    async def _told(
        self, child: asyncio.subprocess.Process, data: bytes, filename: str
    ) -> tuple[Told, bytes]:
        """What it makes of the file.

        Raises `EOFError` where it dies over it, or says more than it may; `Killed` where others end it.
        """
        assert child.stdin is not None
        assert child.stdout is not None
        task = DecodeTask(filename=filename, rate=RATE, max_seconds=self._max_seconds)
        with suppress(OSError):  # where it is dead, its status says why
            child.stdin.write(task.packed(data))
            await child.stdin.drain()
        line = await child.stdout.readline()
        if not line:
            status = await child.wait()
            raise (Killed if abs(status) == SIGKILL else EOFError)(f"it ended with status {status}")
        told = TOLD.validate_json(line)
        if not isinstance(told, Done | Failed) or told.size > task.most_bytes:
            raise EOFError("not what it was asked for")
        return told, await child.stdout.readexactly(told.size)


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "chorus.speech.decoder"],
        stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when we die, however we die
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env=bare_environment(),
    )


async def _end(child: asyncio.subprocess.Process) -> None:
    """End it at once: it keeps nothing."""
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()
