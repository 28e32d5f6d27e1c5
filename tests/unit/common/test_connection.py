"""Requests on the bus, where nobody waits any more for what they give; the server is a double."""

import asyncio
import gc
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError

from chorus.common.bus.connection import Connection


async def test_a_caller_that_leaves_as_the_answer_fails_leaves_no_error_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def request(*_: object) -> None:
        asked.set()
        await failing.wait()
        raise NoRespondersError

    monkeypatch.setattr(Client, "request", request)
    asked, failing = asyncio.Event(), asyncio.Event()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    calling = asyncio.create_task(Connection(print).request("infer.v1.generate"))
    await asked.wait()
    failing.set()
    await asyncio.sleep(0)  # the answer has failed, and its caller is about to hear it
    calling.cancel()
    await asyncio.wait({calling})
    assert calling.cancelled()
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
