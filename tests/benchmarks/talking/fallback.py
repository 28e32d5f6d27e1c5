"""An engine of the network that is out of reach, first in the chain: seconds until the next one has answered.

Google's place is taken by a port where nobody listens, and by a peer that takes connections and says nothing.
The first request is measured, which finds it out; after two the engine is left out for a while.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from chorus.common.local.servers import HOST, free_ports
from tests.benchmarks.figures import Report
from tests.benchmarks.talking.requests import hear, say
from tests.support.servers import Servers
from tests.support.speaking import a_speech

BAR = 3.0  # seconds


async def measure(servers: Servers, folder: Path, report: Report, *, offline: str) -> None:
    """Both, for saying and hearing; `fallback_s` is the longest. `offline` is the voice that stands in."""
    longest = 0.0
    for kind, peer in PEERS.items():
        async with peer() as port:
            said, heard = await fallen_back(servers, folder / kind, port, offline)
        longest = max(longest, said, heard)
        report.add(f"fallback_{kind}_s", max(said, heard), f"tts {said:.2f} s, stt {heard:.2f} s")
    report.add("fallback_s", longest, f"{longest:.2f} s (at most {BAR:.0f})")


async def fallen_back(servers: Servers, folder: Path, port: int, offline: str) -> tuple[float, float]:
    """Seconds until it is said, and until it is heard, while Google is sought at this port."""
    address = f"https://{HOST}:{port}"
    settings = {
        "CHORUS_TTS_ENGINES": f"gtts,{offline}",
        "CHORUS_GTTS_ENDPOINT": address,
        "CHORUS_STT_ENGINES": "google,sphinx",
        "CHORUS_GOOGLE_ENDPOINT": f"{address}/recognize",
        "CHORUS_CACHE": str(folder),
    }
    folder.mkdir()
    async with a_speech(servers, folder, **settings), servers.connected("gateway") as connection:
        began = time.perf_counter()
        spoken = await say(connection)
        said = time.perf_counter()
        assert spoken.voice.startswith(offline)
        assert (await hear(connection, spoken.audio)).engine == "sphinx"
        return said - began, time.perf_counter() - said


@asynccontextmanager
async def nobody() -> AsyncGenerator[int]:
    """A port where nobody listens."""
    (port,) = free_ports(1)
    yield port


@asynccontextmanager
async def silent() -> AsyncGenerator[int]:
    """The port of a peer that takes connections and says nothing."""
    over = asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(take, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()
        await server.wait_closed()


PEERS: dict[str, Callable[[], AbstractAsyncContextManager[int]]] = {"closed": nobody, "silent": silent}
