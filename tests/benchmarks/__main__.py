"""Run the benchmarks: `python -m tests.benchmarks [NAME]`; the last line of standard output is JSON."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from chorus.common.telemetry.logging import configure
from tests.benchmarks import bus, curation, gateway, inference, scale, speech, startup, trainer
from tests.benchmarks.figures import PEOPLE, Report

BENCHMARKS: dict[str, Callable[[], Awaitable[Report]]] = {
    "bus": bus.measure,
    "startup": startup.measure,
    "curation": curation.measure,
    "trainer": trainer.measure,
    "inference": inference.measure,
    "gateway": gateway.measure,
    "speech": speech.measure,
    "scale": scale.measure,
}


async def run(names: list[str]) -> dict[str, float]:
    """Run them one after the other; each shows its table and prints its figures."""
    figures: dict[str, float] = {}
    for name in names:
        PEOPLE.print(f"[dim]benchmark {name} …[/dim]")
        report = await BENCHMARKS[name]()
        report.show()
        print(json.dumps(report.figures), flush=True)
        figures |= report.figures
    return figures


def main() -> int:
    """All of them, or one."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure beside named peers.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help="NAME=…; all without it")
    name = parser.parse_args().name
    configure("bench", "error", "text")
    figures = asyncio.run(run([name] if name else list(BENCHMARKS)))
    if name is None:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
