"""How many busy guilds one machine holds, what is short first beyond that, and what then has to be there.

A simulation (tests/benchmarks/scaling): its service times are figures of the other benchmarks, and its seed
is fixed, so that it gives the same numbers anywhere. docs/scale.md quotes them.
"""

from collections.abc import Mapping
from functools import cache
from math import ceil

from tests.benchmarks.figures import Report, percentile
from tests.benchmarks.scaling.adapters import Found, ask
from tests.benchmarks.scaling.day import BUSY_HOUR, PATHS, SLOTS, WAITS
from tests.benchmarks.scaling.queues import simulate

SEED = 7
DEEDS = 20_000  # in each run
SCALES = (1, 10, 100)
CELLS = 10  # 1000 times one machine: so many of the largest, each with its own bus
FULL = 0.8  # of a station's time: how far more than one process are planned to be used
ENGINES, GUILDS, QUESTIONS = 8, 1000, 20_000  # where adapters are looked for

Fleet = dict[str, int]
"""Processes of each station."""


async def measure() -> Report:
    """All of it."""
    report = Report("scale")
    for scale in SCALES:
        guilds = on_one_machine() * scale
        fleet = needed(guilds)
        told = ", ".join(f"{number} {name}" for name, number in fleet.items())
        report.add(
            f"guilds_x{scale}", guilds, f"{guilds:,} busy guilds, {per_second(guilds):,.1f} a second", told
        )
        report.figures |= {f"{name.lower()}_x{scale}": number for name, number in fleet.items()}
        for kind, wait in waits(guilds, fleet).items():
            report.add(f"{kind}_p95_wait_s_x{scale}", wait, f"{wait:.2f} s (at most {WAITS[kind]:g})")
    for name, found in routed().items():
        report.add(f"adapters_in_memory_{name}", found.in_memory, f"{found.in_memory:.0%}")
        report.add(f"adapter_delay_ms_{name}", found.delay * 1e3, f"{found.delay * 1e3:.1f} ms later")
    return report


@cache
def on_one_machine() -> int:
    """The most busy guilds for which one process of each is enough."""
    low, high = 1, int(1 / max(load(1).values())) + 1
    while high - low > 1:
        middle = (low + high) // 2
        enough = holds(waits(middle, dict.fromkeys(SLOTS, 1)))
        low, high = (middle, high) if enough else (low, middle)
    return low


@cache
def needed(guilds: int) -> Fleet:
    """One process of each where that is enough, else so many that they are used up to `FULL`, or less."""
    fleet = dict.fromkeys(SLOTS, 1)
    if guilds > on_one_machine():
        fleet = {name: max(1, ceil(use / FULL)) for name, use in load(guilds).items()}
    while not holds(found := waits(guilds, fleet)):
        worst = max(found, key=lambda kind: found[kind] / WAITS[kind])
        used = {name: load(guilds)[name] / fleet[name] for name, _ in PATHS[worst]}
        fleet[max(used, key=lambda name: used[name])] += 1
    return fleet


def load(guilds: int) -> dict[str, float]:
    """Of each station: how many processes so many busy guilds would keep busy."""
    asked = dict.fromkeys(SLOTS, 0.0)
    for kind, path in PATHS.items():
        for name, seconds in path:
            asked[name] += guilds * BUSY_HOUR[kind] / 3600 * seconds / SLOTS[name]
    return asked


def waits(guilds: int, fleet: Fleet) -> dict[str, float]:
    """What 95 of 100 deeds of each kind wait at most, in seconds."""
    rates = {kind: guilds * number / 3600 for kind, number in BUSY_HOUR.items()}
    servers = {name: number * SLOTS[name] for name, number in fleet.items()}
    found = simulate(rates, PATHS, servers, DEEDS, SEED)
    return {kind: percentile(each, 0.95) for kind, each in found.items()}


def holds(found: Mapping[str, float]) -> bool:
    """Whether nobody waits longer than is said."""
    return all(wait <= WAITS[kind] for kind, wait in found.items())


def per_second(guilds: int) -> float:
    """Deeds a second of so many busy guilds."""
    return guilds * sum(BUSY_HOUR.values()) / 3600


@cache
def routed() -> dict[str, Found]:
    """Questions to any engine, and to the one that the guild's hash names."""
    return {
        name: ask(GUILDS, ENGINES, QUESTIONS, affinity=affinity, seed=SEED)
        for name, affinity in (("anywhere", False), ("affinity", True))
    }
