"""The gateway, from a message on Discord to what is read there: answers as they grow, and a crowd.

Discord is the double of the tests in this process, at the wire; the gateway, NATS, S3, the trainer and
inference are what ships.
"""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from chorus.common.local.process import Process
from tests.benchmarks.chatting import crowd, streams
from tests.benchmarks.figures import Report
from tests.support.servers import Servers, running_servers

SECONDS = 60.0
WITH_QUESTIONS, WITHOUT = 20.0, 220.0  # commands a second: what is kept up with must be over 200
GRACE = 10.0


async def measure() -> Report:
    """Answers at a known pace first, then the crowd without questions, then with them."""
    report = Report("gateway")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running_servers(folder / "servers") as servers:
            lost = await streams.measure(servers, folder, report)
            async with AsyncExitStack() as stack:
                await start(servers, folder, stack, "trainer")
                lost += await crowd.measure(
                    servers, folder, report, rate=WITHOUT, seconds=SECONDS, asks=False
                )
                await start(servers, folder, stack, "inference")
                lost += await crowd.measure(
                    servers, folder, report, rate=WITH_QUESTIONS, seconds=SECONDS, asks=True
                )
    report.add("lost", lost, f"{lost} (none)")
    return report


async def start(servers: Servers, folder: Path, stack: AsyncExitStack, name: str) -> None:
    """A service as it ships, until the stack is left."""
    process = Process(servers.stack.service(name), folder / f"{name}.log")
    await process.start()
    stack.push_async_callback(process.stop, GRACE)
    await process.until_ready()
