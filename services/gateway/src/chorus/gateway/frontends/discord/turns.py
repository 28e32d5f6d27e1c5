"""How often Discord takes requests of one bot, whatever they are: what is more waits here.

discord.py keeps the limit of each route, and learns of this one only by being refused. It gives up after
five refusals, and then a reply is lost. What answers an interaction is not counted by Discord.
"""

import asyncio
import re
from types import SimpleNamespace

import aiohttp

COUNTED = re.compile(r"/api/v\d+/(?!interactions/|webhooks/)")


def keeping_turns(trace: aiohttp.TraceConfig, a_second: int) -> aiohttp.TraceConfig:
    """The same `http_trace`; with it, no more requests begin in a second."""
    turns = Turns(a_second)

    async def begins(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        if COUNTED.search(request.url.path):
            await turns.take()

    trace.on_request_start.append(begins)
    return trace


class Turns:
    """So many a second, evenly: what begins at once may arrive at once with what begins a second later."""

    def __init__(self, a_second: int) -> None:
        self._every = 1 / a_second
        self._next = 0.0

    async def take(self) -> None:
        """Wait for the next turn; who asks first has the earlier one."""
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._every
        await asyncio.sleep(mine - now)
