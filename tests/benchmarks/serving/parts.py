"""The parts of the benchmark in their order; each of them adds its figures to the report."""

from collections import Counter
from pathlib import Path

from chorus.common.bus.state import open_bucket
from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.topology import MODELS
from tests.benchmarks.figures import PEOPLE, Report
from tests.benchmarks.serving import leaving, neighbours, residency, rolling, speed, swapping
from tests.benchmarks.serving.bench import CPU_CACHE, Bench, Voices
from tests.benchmarks.serving.models import write_100m, write_starter
from tests.benchmarks.serving.service import a_service
from tests.support.servers import running_servers


async def run(folder: Path, report: Report) -> None:
    """On servers of its own: speed, then what is hard, then what of all that was asked had no good reply."""
    async with (
        running_servers(folder / "servers") as servers,
        servers.connected("trainer") as trainer,
        servers.connected("gateway") as client,
    ):
        bench = Bench(folder, servers, client, await open_bucket(trainer, MODELS, ModelRecord))
        starter = await Voices.published(bench, write_starter(folder / "starter"))
        large = await Voices.published(bench, write_100m(folder / "llama-100m"))
        await speed.Contest(bench, starter, speed.STARTER, report).run()
        await speed.Contest(bench, large, speed.LARGE, report).run()
        await under_load(bench, starter, report)
        await residency.measure(bench, starter.base, report)
    lost = Counter(bench.lost)
    PEOPLE.print(f"[dim]lost: {dict(lost)}[/dim]")
    report.add("lost", lost.total(), f"{lost.total()} (none)")


async def under_load(bench: Bench, starter: Voices, report: Report) -> None:
    """New versions, a loud neighbour, and a rolling restart, of the same process."""
    swapping.prepare(starter.base)
    settings = {"CHORUS_BASE_MODEL": str(starter.base), **CPU_CACHE}
    async with a_service(bench.servers, bench.folder, "first", settings) as first:
        await swapping.measure(bench, starter.base, report)
        await neighbours.measure(bench, starter.base, report)
        await leaving.measure(bench, starter, report)
        await rolling.measure(bench, starter, first, settings, report)
