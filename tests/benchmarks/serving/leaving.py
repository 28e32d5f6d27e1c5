"""Somebody is killed while he is written to: how soon the engine writes for others again."""

import asyncio
import time
from collections.abc import Callable

from chorus.common.bus.calls import ask
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.names import LOCAL
from tests.benchmarks.figures import Report, percentile
from tests.benchmarks.serving.bench import Bench, Voices
from tests.benchmarks.serving.peers import a_peer

KILLED = 10
LOOK_EVERY = 0.01  # seconds
TOKENS = 1900  # far more than are written until then


async def measure(bench: Bench, voices: Voices, report: Report) -> None:
    """Seconds from the kill to a free slot; the bus, not the client, says that it has gone."""
    seconds = [await one_killed(bench, voices) for _ in range(KILLED)]
    told = f"{max(seconds):.2f} s at most (2), p50 {percentile(seconds, 0.5):.2f} s, of {KILLED}"
    report.add("slot_free_s", max(seconds), told)


async def one_killed(bench: Bench, voices: Voices) -> float:
    """A client of its own; its connection ends with it."""
    model = voices.adapters[0].name
    environment = bench.servers.stack.environment("gateway")
    async with a_peer("crowd", log=bench.folder / "leaving.log", environment=environment) as client:
        asking = asyncio.create_task(
            client.ask(count=1, tokens=[TOKENS, TOKENS + 1], model=model, guild=LOCAL, patience=0.0)
        )
        await until(bench, lambda in_use: in_use == 1)
        await client.kill()
        killed = time.perf_counter()
        await until(bench, lambda in_use: in_use == 0)
        seconds = time.perf_counter() - killed
        await asyncio.wait({asking})
        assert isinstance(asking.exception(), AssertionError), "it had its reply before it was killed"
    return seconds


async def until(bench: Bench, holds: Callable[[int], bool]) -> None:
    """Until so many replies are being written."""
    async with asyncio.timeout(60):
        while True:
            served = await ask(bench.client, SERVED, ListServed(), Served)
            if holds(sum(model.in_use for model in served.models)):
                return
            await asyncio.sleep(LOOK_EVERY)
