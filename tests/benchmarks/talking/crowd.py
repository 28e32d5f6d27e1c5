"""Eight requests at once beside two, of one guild and of eight: engines are processes, side by side."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from chorus.common.bus.connection import Connection
from tests.benchmarks.figures import Report, paired_ratio
from tests.benchmarks.talking.requests import hear, say, say_something_new

ROUNDS = 5
FEW, MANY = 2, 8
BAR = 3.0

Request = Callable[[str], Awaitable[object]]
"""Made in the name of a guild."""


async def measure(connection: Connection, report: Report) -> None:
    """Saying and hearing; `eight_over_two` is the worst of the four."""
    crowd = [str(number) for number in range(MANY)]
    sounds = {guild: (await say(connection, guild=guild)).audio for guild in crowd}
    requests: dict[str, Request] = {
        "tts": lambda guild: say_something_new(connection, guild),
        "stt": lambda guild: hear(connection, sounds[guild], guild),
    }
    worst = 0.0
    for name, request in requests.items():
        for whose, guilds in {"one_guild": crowd[:1] * MANY, "eight_guilds": crowd}.items():
            few, many = await rounds(request, guilds)
            ratio = paired_ratio(many, few)
            worst = max(worst, ratio)
            told = f"{ratio:.2f}: {median(many):.2f} s by {median(few):.2f} s (at most {BAR:.0f})"
            report.add(f"{name}_eight_over_two_{whose}", ratio, told)
    report.add("eight_over_two", worst, f"{worst:.2f} (at most {BAR:.0f})")


async def rounds(request: Request, guilds: list[str]) -> tuple[list[float], list[float]]:
    """Seconds of a few at once and of many, in turns; after many that do not count, which start engines."""
    await at_once(request, guilds)
    few, many = list[float](), list[float]()
    for _ in range(ROUNDS):
        few.append(await at_once(request, guilds[:FEW]))
        many.append(await at_once(request, guilds))
    return few, many


async def at_once(request: Request, guilds: list[str]) -> float:
    """Seconds until all are answered, one for each guild named."""
    began = time.perf_counter()
    await asyncio.gather(*(request(guild) for guild in guilds))
    return time.perf_counter() - began
