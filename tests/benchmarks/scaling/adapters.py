"""Which adapter is where: engines keep the most recently used in memory and on disk, and fetch the rest.

Questions come from guilds by Zipf's law, each with an adapter of its own, and go to any engine, or to the one
that a hash of the guild names. With the same engines the second has each adapter in one place, not in all.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from zlib import crc32

from tests.benchmarks.scaling.day import FROM_DISK, FROM_S3

IN_MEMORY, ON_DISK = 32, 128  # adapters: CHORUS_ADAPTERS_IN_MEMORY; 10 GiB of them at 80 MB


@dataclass
class Kept:
    """The most recently used adapters, up to a number."""

    most: int
    names: OrderedDict[int, None] = field(default_factory=OrderedDict[int, None])

    def use(self, name: int) -> bool:
        """Whether it was there; now it is, and the one that nobody used for longest may be gone."""
        there = name in self.names
        self.names[name] = None
        self.names.move_to_end(name)
        if len(self.names) > self.most:
            self.names.popitem(last=False)
        return there


@dataclass(frozen=True)
class Found:
    """Of all questions: the share that found its adapter in memory, and the mean delay in seconds."""

    in_memory: float
    delay: float


def ask(guilds: int, engines: int, questions: int, *, affinity: bool, seed: int) -> Found:
    """So many questions to so many engines, once all are warm."""
    random = Random(seed)
    weights = list(accumulate(1 / rank for rank in range(1, guilds + 1)))
    memories = [Kept(IN_MEMORY) for _ in range(engines)]
    disks = [Kept(ON_DISK) for _ in range(engines)]
    hits, delay = 0, 0.0
    for number, guild in enumerate(random.choices(range(guilds), cum_weights=weights, k=2 * questions)):
        engine = crc32(str(guild).encode()) % engines if affinity else random.randrange(engines)
        in_memory, on_disk = memories[engine].use(guild), disks[engine].use(guild)
        if number < questions:
            continue
        hits += in_memory
        if not in_memory:
            delay += FROM_DISK.seconds if on_disk else FROM_S3.seconds
    return Found(hits / questions, delay / questions)
