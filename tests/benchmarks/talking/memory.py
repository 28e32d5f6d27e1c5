"""Memory of the service with all its engines, at rest and after work; and what the kept phrases take."""

import asyncio
from pathlib import Path

from chorus.common.bus.connection import Connection
from chorus.common.local.process import Process
from tests.benchmarks.figures import Report
from tests.benchmarks.startup import proportional
from tests.benchmarks.talking.requests import hear, say, say_something_new
from tests.support.chorus import session_pids
from tests.support.servers import Servers
from tests.support.speaking import a_speech

HALF = 100  # requests, of which half say and half hear
AT_ONCE = 5
MOST_PHRASES = 50
MIB = 2**20
SETTLED = MIB  # bytes that may come and go in a second of rest


async def measure(servers: Servers, folder: Path, report: Report, *, engine: str) -> None:
    """At rest, after 200 requests, and how much the last 100 of them add; no phrase is asked for twice."""
    settings = {
        "CHORUS_TTS_ENGINES": engine,
        "CHORUS_CACHE": str(folder),
        "CHORUS_SPEECH_CACHE_PHRASES": str(MOST_PHRASES),
    }
    folder.mkdir()
    async with a_speech(servers, folder, **settings) as process, servers.connected("gateway") as connection:
        rest = await at_rest(process)
        await work(connection)
        half = await at_rest(process)
        await work(connection)
        worked = await at_rest(process)
    report.add("rest_mib", rest / MIB, f"{rest / MIB:.0f} MiB (PSS), one process for each engine")
    report.add("after_200_mib", worked / MIB, f"{worked / MIB:.0f} MiB, two processes for each")
    grown = (worked - half) / MIB
    report.add("grown_mib", grown, f"{grown:+.1f} MiB in the last {HALF} requests")
    kept = len([*(folder / "phrases").iterdir()])
    report.add("kept_phrases", kept, f"{kept} files after {HALF} phrases (at most {MOST_PHRASES})")


async def work(connection: Connection) -> None:
    """`HALF` requests, `AT_ONCE` of them at a time."""
    audio = (await say(connection)).audio

    async def one_after_another(guild: str) -> None:
        for _ in range(HALF // 2 // AT_ONCE):
            await say_something_new(connection, guild)
            await hear(connection, audio)

    await asyncio.gather(*(one_after_another(str(number)) for number in range(AT_ONCE)))


async def at_rest(process: Process) -> int:
    """Bytes of all its processes, pages that several share counted once, when nothing moves any more."""
    before, now = 0, resident(process)
    while abs(now - before) > SETTLED:
        await asyncio.sleep(1.0)
        before, now = now, resident(process)
    return now


def resident(process: Process) -> int:
    """Bytes of all its processes at this moment (PSS)."""
    return sum(proportional(pid) for pid in session_pids(process.child.pid))
