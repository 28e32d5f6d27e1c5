"""Ten times a busy day's rate against all of Chorus: nothing that lasts grows.

make test-slow ARGS=tests/e2e/test_soak.py                    ten minutes, after a third of that to warm up
SOAK_SECONDS=60 make test-slow ARGS=tests/e2e/test_soak.py    one minute, to try it
"""

import asyncio
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chorus.common.contracts.topology import KV_BUCKETS
from tests.benchmarks.scaling.day import BUSY_HOUR
from tests.support.chorus import RunningChorus, chorus_up, session_pids
from tests.support.soaking import growths, name_of, nothing_yet, watch

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
WARM_UP = 1 / 3
TIMES = 10  # a busy day's rate
LOOKS_TAKEN = 100  # at the processes

LESSONS = Path(__file__).parent.parent.parent / "examples/first-run.json"
QUESTIONS = ("When do you open?", "Do you have wifi?", "Who runs the quiz night?", "Can I bring my dog?")
LOOKS = ("!models", "!jobs", "!datasets", "!settings", "!help")
REFUSED = re.compile(r"\[[a-z_]+\]$")

KEPT = {"jobs": "training", "datasets": "training", "models": "training", "replies": "question"}
"""Buckets that grow with what is done, by what; all else stays as it is."""
WEED_GROWS = 64
"""MiB in ten minutes: it begins with 33, and caches what passes. Seen: 36, with three trainings."""
BYTES_EACH = 4096  # of a revision of an entry


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningChorus]:
    with chorus_up(tmp_path) as running:
        yield running


def lines(random: random.Random, recording: Path) -> dict[str, str]:
    """What somebody may type, by what it does."""
    return {
        "look": random.choice(LOOKS),
        "question": random.choice(QUESTIONS),
        "recording": f"!transcribe file={recording}",
        "training": f"!train file={LESSONS} model=soaked",
    }


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 900)
async def test_ten_times_a_busy_days_rate_leaves_nothing_that_grows(
    stack: RunningChorus, tmp_path: Path
) -> None:
    rng, recording = random.Random(10), tmp_path / "recording.ogg"
    await typed(stack, f"!say We sail at dawn. to={recording}")
    for line in lines(rng, recording).values():
        await typed(stack, line)
    await busy(stack, rng, recording, SECONDS * WARM_UP)
    looks, before = nothing_yet(), await buckets(stack)
    names = {pid: name_of(pid) for pid in session_pids(stack.process.pid)}
    watching = asyncio.create_task(watch(stack.process.pid, SECONDS / LOOKS_TAKEN, looks))
    done = await busy(stack, rng, recording, SECONDS)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    found = growths(looks, names)
    for each in found:
        print(each)
    assert {
        "chorus.trainer",
        "chorus.inference",
        "chorus.speech",
        "chorus.gateway",
        "nats-server",
        "weed",
    } <= {each.of for each in found}
    expected = {
        ("chorus.inference", "files"): done["training"],  # of each adapter on its disk it holds a lock
        ("weed", "memory"): WEED_GROWS,
    }
    assert not [each for each in found if not each.is_flat(expected.get((each.of, each.what), 0))]
    assert len(session_pids(stack.process.pid)) <= len(names) + 1, "another one may just stand by"
    no_more_than_was_done(before, await buckets(stack), done)


async def busy(stack: RunningChorus, rng: random.Random, recording: Path, seconds: float) -> Counter[str]:
    """Type at random moments as many lines as ten busy days have in that time; what was done, by kind."""
    hourly = BUSY_HOUR.items()
    counts = Counter({kind: max(1, round(TIMES * number * seconds / 3600)) for kind, number in hourly})
    kinds = rng.sample(list(counts), counts.total(), counts=list(counts.values()))
    started, done = time.monotonic(), Counter[str]()
    for moment, kind in zip(sorted(rng.uniform(0, seconds) for _ in kinds), kinds, strict=True):
        await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
        await typed(stack, lines(rng, recording)[kind])
        done[kind] += 1
    print(f"{sum(done.values())} lines in {time.monotonic() - started:.0f} s of {seconds:.0f}: {dict(done)}")
    return done


async def typed(stack: RunningChorus, line: str) -> None:
    """A line, until it is answered; nothing may be refused."""
    shown = await asyncio.to_thread(stack.say, line)
    assert not [each for each in shown if REFUSED.search(each)], shown


async def buckets(stack: RunningChorus) -> dict[str, tuple[int, int]]:
    """Messages and bytes of each bucket."""
    async with stack.connected("operator") as connection:
        js = connection.jetstream()
        states = {str(each.name): (await js.stream_info(str(each.name))).state for each in KV_BUCKETS}
    return {name.removeprefix("KV_"): (state.messages, state.bytes) for name, state in states.items()}


def no_more_than_was_done(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], done: Counter[str]
) -> None:
    """Buckets have at most an entry, with its revisions, and some KiB more for each thing that was done."""
    grown = {name: (after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in after}
    print(grown)
    revisions = {str(each.name).removeprefix("KV_"): each.max_msgs_per_subject or 1 for each in KV_BUCKETS}
    for name, (entries, size) in grown.items():
        times = done[KEPT[name]] if name in KEPT else 0
        assert entries <= times * revisions[name], f"{name}: {entries} more entries for {times}"
        assert size <= BYTES_EACH * max(1, times * revisions[name]), f"{name}: {size} more bytes for {times}"
