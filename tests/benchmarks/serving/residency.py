"""Many more adapters than fit: what the first question to one costs, and whether a long load loses any."""

from collections import Counter
from pathlib import Path
from statistics import median

from tests.benchmarks.figures import PEOPLE, Report
from tests.benchmarks.serving.bench import AT_ONCE, CPU_CACHE, Bench
from tests.benchmarks.serving.load import Question, closed_loop, hear, questions, zipf
from tests.benchmarks.serving.models import write_noise
from tests.benchmarks.serving.service import a_service

ADAPTERS, RESIDENT = 200, 8
REQUESTS = 2000
SHORT = 8  # tokens
COLD = 24  # adapters, each asked for the first time, then at once again

NAME = "voice"
SETTINGS = {"CHORUS_ADAPTERS_IN_MEMORY": str(RESIDENT), "CHORUS_ADAPTERS_AT_ONCE": str(RESIDENT)}


async def measure(bench: Bench, base: Path, report: Report) -> None:
    """A service of its own, that finds all adapters there when it starts."""
    guilds = [str(10**17 + number) for number in range(ADAPTERS)]
    await publish(bench, base, guilds)
    settings = {"CHORUS_BASE_MODEL": str(base), **CPU_CACHE, **SETTINGS}
    async with a_service(bench.servers, bench.folder, "residency", settings):
        await cold_ones(bench, guilds[-COLD:], report)
        await long_load(bench, guilds, report)


async def publish(bench: Bench, base: Path, guilds: list[str]) -> None:
    """An adapter for each guild."""
    publisher = bench.publisher(base)
    for number, guild in enumerate(guilds):
        folder = write_noise(base, base.parent / f"of-{guild}", seed=2000 + number)
        await publisher.publish(guild, NAME, [await publisher.upload(guild, NAME, folder)])


async def cold_ones(bench: Bench, guilds: list[str], report: Report) -> None:
    """Milliseconds to the first token: from S3, resident, and, of those that had to go, from disk."""
    text = questions(1, seed=6)[0]

    async def first(guild: str) -> float:
        heard = await hear(bench.client, Question(text, SHORT, NAME, guild))
        assert heard.first is not None, heard.error
        return heard.first * 1e3

    fetched, resident, reloaded = list[float](), list[float](), list[float]()
    for guild in guilds:
        fetched.append(await first(guild))
        resident.append(await first(guild))
    for guild in guilds[:-RESIDENT]:
        reloaded.append(await first(guild))
    cold, again = median(fetched) - median(resident), median(reloaded) - median(resident)
    beside = f"resident {median(resident):.0f} ms"
    report.add("cold_adapter_ms", cold, f"{cold:.0f} ms more from S3: {median(fetched):.0f} ms", beside)
    report.add(
        "reloaded_adapter_ms", again, f"{again:.0f} ms more from disk: {median(reloaded):.0f} ms", beside
    )


async def long_load(bench: Bench, guilds: list[str], report: Report) -> None:
    """All guilds ask; few of them often."""
    asking = zip(questions(REQUESTS, seed=7), zipf(guilds, REQUESTS, seed=7), strict=True)
    asked = [Question(text, SHORT, NAME, guild) for text, guild in asking]
    heard = await closed_loop(bench.client, asked, at_once=AT_ONCE)
    failed = Counter(answer.error for answer in heard if answer.error)
    bench.lost += failed.elements()
    PEOPLE.print(f"[dim]{ADAPTERS} adapters, {RESIDENT} resident: failed {dict(failed)}[/dim]")
    seconds = max(answer.sent + answer.whole for answer in heard) - heard[0].sent
    whole = median(answer.whole for answer in heard)
    told = f"{len(heard) / seconds:.0f}/s; a reply of {SHORT} tokens takes {whole:.2f} s, {AT_ONCE} at once"
    report.add("zipf_requests_per_s", len(heard) / seconds, told)
