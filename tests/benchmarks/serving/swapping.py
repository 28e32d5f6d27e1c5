"""New versions while people ask: how soon one answers, and whether each reply is wholly from one."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.figures import Report, percentile
from tests.benchmarks.serving.bench import Bench
from tests.benchmarks.serving.load import Heard, Question, hear, questions
from tests.benchmarks.serving.models import write_noise, write_taught

VERSIONS = 24  # published one after the other
SHORT = 4  # tokens of a reply that only tells who answers

ROLLED, ASKED = "rolled", 8  # a model, and how many different questions
SENTENCES = ("The harbour cat sleeps.", "Rain falls on the old bridge.")
CLIENTS = 16
FLIPS = 12  # back and forth
BETWEEN = 0.4  # seconds
SAID = 40  # tokens


def prepare(base: Path) -> None:
    """Teach the two voices; not while an engine runs, which wants the cores as well."""
    for number, sentence in enumerate(SENTENCES, 1):
        write_taught(base, base.parent / f"{ROLLED}-{number}", sentence, questions(ASKED, seed=5))


async def measure(bench: Bench, base: Path, report: Report) -> None:
    """Publications first, then rollbacks under load."""
    seconds = await publications(bench, base)
    p95 = percentile(seconds, 0.95)
    told = f"{p95:.3f} s (at most 1), of {len(seconds)}; p50 {percentile(seconds, 0.5):.3f} s"
    report.add("swap_p95_s", p95, told)
    heard, wrong = await rollbacks(bench, base)
    bench.lost += wrong
    report.add("rollback_wrong", len(wrong), f"{len(wrong)} of {len(heard)} replies failed or mixed (none)")


async def publications(bench: Bench, base: Path) -> list[float]:
    """Seconds from each version's entry to its first token at somebody who asks for the model all along."""
    publisher, name, seconds = bench.publisher(base), "swapped", list[float]()
    question = Question("Who are you?", SHORT, name)
    versions = []
    for number in range(1, VERSIONS + 1):
        folder = write_noise(base, base.parent / f"{name}-{number}", seed=1000 + number)
        versions.append(await publisher.upload("local", name, folder, version=number))
        published = time.perf_counter()
        await publisher.publish("local", name, versions, prod=number)
        while (heard := await hear(bench.client, question)).model != f"{name}@{number}":
            if heard.error is not None:
                bench.lost.append(f"{heard.error} while {name}@{number} came")
        assert heard.first is not None
        seconds.append(heard.sent + heard.first - published)
    return seconds[1:]  # before the first one there was nothing to swap


async def rollbacks(bench: Bench, base: Path) -> tuple[list[Heard], list[str]]:
    """Two versions that say different sentences; which one answers changes all the time."""
    publisher, name, texts = bench.publisher(base), ROLLED, questions(ASKED, seed=5)
    versions = [
        await publisher.upload("local", name, base.parent / f"{name}-{number}", version=number)
        for number in (1, 2)
    ]
    await publisher.publish("local", name, versions)
    said = {f"{name}@{number}": await alone(bench, f"{name}@{number}", texts) for number in (1, 2)}
    heard, over = list[Heard](), asyncio.Event()

    async def client(text: str) -> None:
        while not over.is_set():
            heard.append(await hear(bench.client, Question(text, SAID, name)))

    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(client(texts[number % len(texts)]))
        for flip in range(FLIPS):
            await asyncio.sleep(BETWEEN)
            await publisher.publish("local", name, versions, prod=2 - flip % 2)
        over.set()
    return heard, wrong_ones(heard, said.__getitem__)


async def alone(bench: Bench, model: str, texts: Sequence[str]) -> str:
    """What a version says when nobody else asks; the same to each question, or it was not taught well."""
    heard = [await hear(bench.client, Question(text, SAID, model)) for text in texts]
    (said,) = {answer.text for answer in heard}
    return said


def wrong_ones(heard: Sequence[Heard], said_by: Callable[[str], str]) -> list[str]:
    """Replies that failed, or are not in the words of the version that is named as their writer."""
    return [
        answer.error or f"mixed: {answer.text!r} by {answer.model}"
        for answer in heard
        if answer.error or answer.text != said_by(answer.model)
    ]
