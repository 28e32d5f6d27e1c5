"""Discord's rate limits: of each channel as its answers tell them, and of all that one bot asks.

discord.py keeps the limit of each route, and learns of the last one only by being refused. It gives up after
five refusals, and then a reply is lost: so what is more waits here.
"""

import asyncio
import re
from types import SimpleNamespace

import aiohttp

from chorus.gateway.frontends.discord.rooms import Rooms
from chorus.gateway.frontends.discord.streaming import EDITING, SAYING
from chorus.gateway.metrics import DiscordMetrics

COUNTED = re.compile(r"/api/v\d+/(?!interactions/|webhooks/)")  # what answers an interaction is not
MESSAGE = re.compile(r"/channels/(\d+)/messages(?:/\d+)?$")
TOLD = ("Limit", "Remaining", "Reset-After")


def tracing(rooms: Rooms, a_second: int, metrics: DiscordMetrics) -> aiohttp.TraceConfig:
    """What discord.py's client takes as its `http_trace`.

    It lets no more than so many requests begin in a second, tells each channel's pace what is left there,
    and counts what Discord answered.
    """
    limiter = RateLimiter(a_second)

    async def begins(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        if COUNTED.search(request.url.path):
            metrics.held(await limiter.take())

    async def ended(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        response = request.response
        metrics.requested(request.method, response.status, response.headers.get("X-RateLimit-Scope"))
        _tell(rooms, request)

    async def failed(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        metrics.requested(request.method, 0)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begins)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


class RateLimiter:
    """So many a second, evenly: what begins at once may arrive at once with what begins a second later."""

    def __init__(self, a_second: int) -> None:
        self._every = 1 / a_second
        self._next = 0.0

    async def take(self) -> float:
        """Wait for the next turn; who asks first has the earlier one. Returns the seconds it took."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._every
        await asyncio.sleep(mine - now)
        return mine - now


def _tell(rooms: Rooms, request: aiohttp.TraceRequestEndParams) -> None:
    """Tell a channel when Discord took a message or an edit there, and how many more edits it takes."""
    message = MESSAGE.search(request.url.path)
    if (
        request.method not in (SAYING, EDITING)
        or message is None
        or (room := rooms.known(int(message[1]))) is None
    ):
        return
    if request.response.ok:
        room.pace.answered_at[request.method] = asyncio.get_running_loop().time()
    told = [request.response.headers.get(f"X-RateLimit-{name}") for name in TOLD]
    if request.method == EDITING and all(told):
        most, left, seconds = (float(figure or 0) for figure in told)
        room.pace.edited(int(most), int(left), seconds)
