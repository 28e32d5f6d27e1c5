"""Whose turn it is on a GPU that trainings and answers share, in words for people, as it changes."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from chorus.common.bus.state import Bucket
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.wire import now

AWAY = "A training has the GPU until {until:%H:%M} UTC. Questions are answered again after that."
BACK = "The training has given the GPU back. Questions are answered again in a moment."

ALMOST_A_MINUTE = timedelta(seconds=59)


async def gpu_news(
    leases: Bucket[Lease], clock: Callable[[], datetime] = now
) -> AsyncIterator[tuple[str, bool]]:
    """What people should know, for ever, and whether answers are back. Each window is told once."""
    windows: dict[str, datetime] = {}
    async for entry in leases.follow():
        lease = entry.value
        if lease.is_held and lease.until is not None and not lease.is_free(clock()):
            if windows.get(entry.key) != lease.until:
                windows[entry.key] = lease.until
                yield AWAY.format(until=lease.until + ALMOST_A_MINUTE), False
        elif windows.pop(entry.key, None) is not None:
            yield BACK, True
