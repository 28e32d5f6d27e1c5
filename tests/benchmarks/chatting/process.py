"""The gateway as it ships: a process of its own, beside a double of Discord in this one."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, free_ports
from tests.support.discord.double import Discord
from tests.support.servers import Servers

READY_WITHIN = 120.0  # seconds; a thousand servers have to be told of
GRACE = 20.0


@asynccontextmanager
async def a_gateway(
    servers: Servers, folder: Path, discord: Discord, **settings: str
) -> AsyncIterator[Process]:
    """A gateway, logged in; stopped on leaving."""
    (port,) = free_ports(1)
    on_discord = {f"CHORUS_{name.upper()}": value for name, value in discord.settings().items()}
    program = Program(
        name="gateway",
        command=[sys.executable, "-m", "chorus.gateway"],
        ready_url=f"http://{HOST}:{port}/readyz",
        environment={
            **servers.stack.environment("gateway"),
            **on_discord,
            "CHORUS_HEALTH_PORT": str(port),
            "CHORUS_CACHE": str(folder / "gateway"),
            **settings,
        },
        folder=folder,
        ready_within=READY_WITHIN,
    )
    process = Process(program, folder / "gateway.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop(GRACE)


def memory(process: Process) -> float:
    """MiB of memory that the process holds now (resident)."""
    pages = int(Path(f"/proc/{process.child.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
