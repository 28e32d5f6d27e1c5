"""The real service of speech, as a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from chorus.common.local.process import Process
from chorus.gateway.backends.speech import BusSpeech
from chorus.gateway.commands.ports import Heard, Upload
from tests.support.servers import Servers
from tests.support.training import on_a_port_of_its_own

SENTENCE = "hello world one two three"
"""What its own voice says so that its own ear hears it."""


@asynccontextmanager
async def a_speech(
    servers: Servers, folder: Path, name: str = "speech", **environment: str
) -> AsyncIterator[Process]:
    """The service, ready; ended as it is told to."""
    program = on_a_port_of_its_own(servers.stack.service("speech"))
    program = replace(program, environment={**program.environment, **environment})
    process = Process(program, folder / f"{name}.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop(20.0)


async def transcribed(speech: BusSpeech, guild: str, recording: Upload | str) -> Heard:
    """All the words in a recording, at its end."""
    *_, heard = [heard async for heard in speech.hear(guild, recording)]
    return heard
