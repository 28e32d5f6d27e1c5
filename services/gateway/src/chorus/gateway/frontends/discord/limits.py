"""When Discord takes messages and edits in each channel, and how many more edits, as it says with each."""

import asyncio
import re
from types import SimpleNamespace

import aiohttp

from chorus.gateway.frontends.discord.rooms import Rooms
from chorus.gateway.frontends.discord.streaming import EDITING, SAYING

MESSAGE = re.compile(r"/channels/(\d+)/messages(?:/\d+)?$")
TOLD = ("Limit", "Remaining", "Reset-After")


def observing(rooms: Rooms) -> aiohttp.TraceConfig:
    """What discord.py's client takes as its `http_trace`: it tells each channel's pace what is left."""

    async def ended(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
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

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    return trace
