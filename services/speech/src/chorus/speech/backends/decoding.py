"""Strangers' audio files, each decoded in a process of its own (`chorus.speech.decoder`).

One is started ahead, and waits: a recording is not to wait until a process is there.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Self

import structlog

from chorus.common.errors import InvalidInput, Unavailable, from_status
from chorus.common.settings import bare_environment
from chorus.speech.voice.sound import SAMPLE_BYTES, Sound
from chorus.speech.voice.tasks import TOLD, DecodeTask, Done, Failed, Told

RATE = 16_000  # samples a second: as engines that hear want them
AT_ONCE = 2  # processes at work; the limits of each hold for so many
WITHIN = 30.0  # seconds that one may take; the CPU's time it watches over itself
LINE_BYTES = 64 * 1024

log = structlog.get_logger()


class Decoders:
    """`ports.Decoder`, while its context is entered."""

    def __init__(self, *, max_seconds: float, within: float = WITHIN) -> None:
        self._max_seconds = max_seconds
        self._within = within
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._spare: asyncio.Task[asyncio.subprocess.Process] | None = None

    async def __aenter__(self) -> Self:
        self._spare = asyncio.create_task(_start())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._spare:
            await _end(await self._spare)
            self._spare = None

    async def decode(self, data: bytes, filename: str) -> Sound:
        """The file's first track: 16 kHz, mono, as far as it may last.

        Raises `InvalidInput` for what is no recording, is silent, or breaks or exhausts the decoder,
        `TooLarge` for one that is too long, `Unavailable` where no process can be started.
        """
        try:
            async with self._turns, self._process() as child, asyncio.timeout(self._within):
                told, samples = await self._told(child, data, filename)
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

    @asynccontextmanager
    async def _process(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        child = await self._next()
        try:
            yield child
        finally:
            await _end(child)

    async def _next(self) -> asyncio.subprocess.Process:
        """The process that waits, if it is still there; the next one is started."""
        waiting, self._spare = self._spare, asyncio.create_task(_start())
        try:
            child = await waiting if waiting else await _start()
            return child if child.returncode is None else await _start()
        except OSError as error:
            log.exception("no decoder")
            raise Unavailable(
                "This machine cannot start a decoder now. Try again in a minute.", code="no_decoder"
            ) from error

    async def _told(
        self, child: asyncio.subprocess.Process, data: bytes, filename: str
    ) -> tuple[Told, bytes]:
        """What it makes of the file. Raises `EOFError` where it dies over it, or says more than it may."""
        assert child.stdin is not None
        assert child.stdout is not None
        task = DecodeTask(filename=filename, rate=RATE, max_seconds=self._max_seconds)
        child.stdin.write(task.packed(data))
        await child.stdin.drain()
        line = await child.stdout.readline()
        if not line:
            raise EOFError(f"it ended with status {await child.wait()}")
        told = TOLD.validate_json(line)
        if not isinstance(told, Done | Failed) or told.size > self._most:
            raise EOFError("not what it was asked for")
        return told, await child.stdout.readexactly(told.size)

    @property
    def _most(self) -> int:
        """Bytes of samples, and a second more: a file ends with whole frames."""
        return int((self._max_seconds + 1) * RATE) * SAMPLE_BYTES


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
