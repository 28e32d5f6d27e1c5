"""The tables of docs/scale.md, as the simulation gives them."""

from functools import cache

from tests.benchmarks import scale
from tests.benchmarks.scaling.day import BUSY_HOUR, COSTS, SLOTS, WAITS


@cache
def tables() -> dict[str, str]:
    """Each table in Markdown, by what it is about."""
    return {"costs": costs(), "short": short(), "fleets": fleets(), "waits": waits(), "adapters": adapters()}


def costs() -> str:
    """What the simulation starts from."""
    rows = [[name, f"{cost.seconds * 1e3:,.1f} ms", cost.source] for name, cost in COSTS.items()]
    return table(["one", "takes", "from"], rows)


def short() -> str:
    """How much of each station's time is asked for, where there is one process of each."""
    sizes = [scale.on_one_machine() * each for each in scale.SCALES]
    loads = [scale.load(size) for size in sizes]
    rows = [[name, *(f"{asked[name]:.2f}" for asked in loads)] for name in SLOTS]
    return table(["one process of", *(f"{size:,} guilds" for size in sizes)], rows)


def fleets() -> str:
    """How many processes are needed."""
    sizes = [scale.on_one_machine() * each for each in scale.SCALES]
    found = [scale.needed(size) for size in sizes]
    rows = [
        [name, *(f"{fleet[name]:,}" for fleet in found), f"{scale.CELLS * found[-1][name]:,}"]
        for name in SLOTS
    ]
    titles = [f"{size:,} guilds" for size in (*sizes, sizes[-1] * scale.CELLS)]
    return table(["processes of", *titles], rows)


def waits() -> str:
    """What 95 of 100 wait at most."""
    sizes = [scale.on_one_machine() * each for each in scale.SCALES]
    found = [scale.waits(size, scale.needed(size)) for size in sizes]
    rows = [
        [f"{kind}, {number} an hour", *(f"{each[kind]:.2f} s" for each in found), f"{WAITS[kind]:g} s"]
        for kind, number in BUSY_HOUR.items()
    ]
    return table(["", *(f"{size:,} guilds" for size in sizes), "may be"], rows)


def adapters() -> str:
    """Where questions find their adapters."""
    rows = [
        [name, f"{found.in_memory:.0%}", f"{found.delay * 1e3:.1f} ms"]
        for name, found in scale.routed().items()
    ]
    return table(["questions go", "adapter in memory", "later on average"], rows)


def table(titles: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
