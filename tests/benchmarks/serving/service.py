"""Inference as it ships: a process of its own, with its environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from chorus.common.local.process import Process
from chorus.common.local.servers import HOST, free_ports
from tests.support.servers import Servers

GRACE = 30.0  # seconds that it gets to finish what it writes


@asynccontextmanager
async def a_service(
    servers: Servers, folder: Path, name: str, settings: dict[str, str]
) -> AsyncIterator[Process]:
    """A process of inference with a cache and a port of its own; ready, and stopped on leaving."""
    (port,) = free_ports(1)
    program = servers.stack.service("inference")
    environment = {
        **program.environment,
        **settings,
        "CHORUS_HEALTH_PORT": str(port),
        "CHORUS_CACHE": str(folder / name),
    }
    ready = f"http://{HOST}:{port}/readyz"
    process = Process(replace(program, environment=environment, ready_url=ready), folder / f"{name}.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop(GRACE)
