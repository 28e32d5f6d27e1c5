"""When Discord takes messages and edits in each channel, and how many more edits, as it says with each."""

import asyncio
import re
from types import SimpleNamespace

import aiohttp

from chorus.gateway.frontends.discord.rooms import Rooms

MESSAGE = re.compile(r"/channels/(\d+)/messages(?:/\d+)?$")
EDITING = "PATCH"
WRITING = (EDITING, "POST")


def observing(rooms: Rooms) -> aiohttp.TraceConfig:
    """What discord.py's client takes as its `http_trace`: it tells each channel's pace what is left."""

    async def ended(
        _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        message = MESSAGE.search(request.url.path)
        if request.method not in WRITING or message is None or (room := rooms.known(int(message[1]))) is None:
            return
        if request.response.ok:
            room.pace.answered_at = asyncio.get_running_loop().time()
        headers = request.response.headers
        left, seconds = headers.get("X-RateLimit-Remaining"), headers.get("X-RateLimit-Reset-After")
        if request.method == EDITING and left is not None and seconds is not None:
            room.pace.left(int(left), float(seconds))

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    return trace
