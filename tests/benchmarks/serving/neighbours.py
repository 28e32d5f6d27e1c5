"""One guild sends very many questions at once, and another one asks as always, one question at a time."""

import asyncio
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from tests.benchmarks.figures import PEOPLE, Report, percentile
from tests.benchmarks.serving.bench import LONGEST, SHORTEST, Bench
from tests.benchmarks.serving.load import Heard, Question, hear, questions
from tests.benchmarks.serving.models import write_noise
from tests.benchmarks.serving.peers import Peer, a_peer
from tests.benchmarks.serving.swapping import ASKED, ROLLED

BURST = 500
PATIENCE = 120.0  # seconds that a client waits, and tries again
OF_QUIET = 32  # tokens of a reply; short ones are more of them in the same time
BURSTS = 3
IDLE = 60  # questions with nobody else about
LOUD, QUIET = "2001", "2002"
NAME = "voice"


async def measure(bench: Bench, base: Path, report: Report) -> None:
    """The quiet guild alone, then while the other's questions are answered."""
    publisher = bench.publisher(base)
    # Noise writes half letters now and then, which nobody sees: the quiet guild has a voice that was taught.
    loud, quiet = write_noise(base, base.parent / f"of-{LOUD}", seed=3000), base.parent / f"{ROLLED}-1"
    for guild, folder in ((LOUD, loud), (QUIET, quiet)):
        await publisher.publish(guild, NAME, [await publisher.upload(guild, NAME, folder)])
    environment = bench.servers.stack.environment("gateway")
    async with a_peer("crowd", log=bench.folder / "crowd.log", environment=environment) as crowd:
        await asyncio.gather(*(hear(bench.client, Question("Hello?", 4, NAME, g)) for g in (LOUD, QUIET)))
        idle, busy, served = list[Heard](), list[Heard](), list[int]()
        for _ in range(BURSTS):
            idle += [await hear(bench.client, question) for question in quiet_questions(IDLE)]
            meanwhile, burst = await during_burst(bench, crowd)
            busy += meanwhile
            served.append(burst["served"])
            PEOPLE.print(f"[dim]a burst: {burst}[/dim]")
    assert not [answer.error for answer in idle if answer.error]
    bench.lost += [answer.error for answer in busy if answer.error]
    for key, what, limit in (("ttft", first, 2), ("reply", whole, 4)):
        ratio, told, beside = compared(list(map(what, idle)), [what(a) for a in busy if not a.error], limit)
        report.add(f"neighbour_{key}_ratio", ratio, told, beside)
    report.add("burst_served", min(served), f"{min(served)} of {BURST} (at least 400)")


async def during_burst(bench: Bench, crowd: Peer) -> tuple[list[Heard], dict]:
    """What the quiet guild hears until the last of the burst has its reply."""
    bursting = asyncio.create_task(
        crowd.ask(count=BURST, tokens=[SHORTEST, LONGEST], model=NAME, guild=LOUD, patience=PATIENCE)
    )
    heard = list[Heard]()
    for question in quiet_questions(BURST):
        heard.append(await hear(bench.client, question))
        if bursting.done():
            break
    return heard[:-1] or heard, await bursting  # the last one had the engine to itself at its end


def quiet_questions(count: int) -> list[Question]:
    """The quiet guild's; of those that its voice was taught."""
    taught = cycle(questions(ASKED, seed=5))
    return [Question(text, OF_QUIET, NAME, QUIET) for text in islice(taught, count)]


def first(heard: Heard) -> float:
    """Milliseconds to the first token."""
    assert heard.first is not None
    return heard.first * 1e3


def whole(heard: Heard) -> float:
    """Milliseconds to the end."""
    return heard.whole * 1e3


def compared(idle: list[float], busy: list[float], limit: int) -> tuple[float, str, str]:
    """The ratio of the 95th percentiles, and both sides in words."""
    ratio = percentile(busy, 0.95) / percentile(idle, 0.95)
    return ratio, f"{ratio:.2f} × (at most {limit}): {_told(busy)}", f"idle {_told(idle)}"


def _told(times: list[float]) -> str:
    return f"p95 {percentile(times, 0.95):.0f} ms, p50 {median(times):.0f} ms, of {len(times)}"
