"""What a process holds, over time, and whether it holds more and more."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median

from tests.support.chorus import session_pids

MIB = 2**20


@dataclass(frozen=True)
class Held:
    """One look at a process."""

    at: float
    """Seconds, on a clock that never goes back."""
    memory: float
    """MiB that are its own: neither files nor shared."""
    files: float
    threads: float


@dataclass(frozen=True)
class Growth:
    """By how much one thing grew from the first look to the last, along the line through all looks."""

    of: str
    what: str
    level: float
    growth: float

    def is_flat(self, expected: float = 0.0) -> bool:
        """Memory may creep by a little, as allocators do; files and threads come and go, and are whole."""
        little = max(8.0, 0.05 * self.level) if self.what == "memory" else 1.5
        return self.growth < expected + little


def held(pid: int) -> Held | None:
    """What it holds now; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in status.splitlines())
    if "RssAnon" not in told:  # it has ended
        return None
    memory = int(told["RssAnon"].split()[0]) * 1024 / MIB
    return Held(time.monotonic(), memory, files, int(told["Threads"]))


async def watch(root: int, every: float, looks: dict[int, list[Held]]) -> None:
    """Look at a process and all that it started, every so many seconds, until this is cancelled."""
    while True:
        for pid in await asyncio.to_thread(session_pids, root):
            if look := held(pid):
                looks[pid].append(look)
        await asyncio.sleep(every)


def growths(looks: dict[int, list[Held]], names: dict[int, str]) -> list[Growth]:
    """Of each process that was there at every look; those that come and go for a job are not."""
    most = max(len(each) for each in looks.values())
    lasting = {pid: each for pid, each in looks.items() if len(each) >= most - 1}
    return [
        Growth(names.get(pid, str(pid)), what, *_line([(look.at, getattr(look, what)) for look in each]))
        for pid, each in sorted(lasting.items())
        for what in ("memory", "files", "threads")
    ]


def name_of(pid: int) -> str:
    """How a person would call it: the module, or the program."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    modules = [word for word in words if word.startswith("chorus.")]
    return modules[0] if modules else Path(words[0]).name or str(pid)


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The level and the growth over the whole time (Theil-Sen: a peak of short duration moves it little)."""
    slope = median((b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s)
    return median(value for _, value in points), slope * (points[-1][0] - points[0][0])


def nothing_yet() -> dict[int, list[Held]]:
    """Where looks are gathered, by process."""
    return defaultdict(list)
