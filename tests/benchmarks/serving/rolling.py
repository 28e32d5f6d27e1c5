"""Two replicas, each stopped and started again while people ask: nobody must notice."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence

from chorus.common.local.process import Process
from tests.benchmarks.figures import Report
from tests.benchmarks.serving.bench import Bench, Voices
from tests.benchmarks.serving.load import Heard, hear, longest_gap
from tests.benchmarks.serving.service import GRACE, a_service

EVERY = 0.5  # seconds between two questions: the engines are busy, and a starting one gets along
LAST_CORE = {"VLLM_CPU_OMP_THREADS_BIND": str((os.cpu_count() or 1) - 1)}
"""By itself each engine takes the first cores, and a second one would wait for the first."""


async def measure(
    bench: Bench, voices: Voices, first: Process, settings: dict[str, str], report: Report
) -> None:
    """`first` runs already; a second one joins it."""
    apart = {**settings, **LAST_CORE}
    async with a_service(bench.servers, bench.folder, "second", apart) as second:
        heard = await rolling_restart(bench, voices, [first, second])
    failed = Counter(answer.error for answer in heard if answer.error)
    bench.lost += failed.elements()
    told = f"{failed.total()} of {len(heard)} (none); longest gap {longest_gap(heard):.1f} s"
    report.add("rolling_lost", failed.total(), told)


async def rolling_restart(bench: Bench, voices: Voices, replicas: Sequence[Process]) -> list[Heard]:
    """Stop and start one after the other; what was heard by those who asked all the while."""
    asking, over = list[asyncio.Task[Heard]](), asyncio.Event()

    async def people() -> None:
        while not over.is_set():
            for question in voices.questions(100, seed=10):
                asking.append(asyncio.create_task(hear(bench.client, question)))
                await asyncio.sleep(EVERY)
                if over.is_set():
                    return

    asked = asyncio.create_task(people())
    try:
        for replica in replicas:
            await replica.stop(GRACE)
            await replica.start()
            await replica.until_ready()
    finally:
        over.set()
        await asked
    return await asyncio.gather(*asking)
