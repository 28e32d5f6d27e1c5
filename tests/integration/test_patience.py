"""How long whoever asks for a stream of replies waits for it, and when they ask again."""

import asyncio
import time
from itertools import pairwise

import pytest

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.bus.replies import ReplyStream
from chorus.common.contracts.generation import (
    SCORE,
    Delta,
)
from chorus.common.errors import InternalError, TimedOut, Unavailable
from tests.support.servers import Servers
from tests.support.streams import QUEUED, Count, count, replies_to, serving


async def test_silence_is_an_error(servers: Servers) -> None:
    async def silent(_: Count, replies: ReplyStream) -> None:
        await asyncio.Event().wait()

    async with serving(servers, silent) as client:
        with pytest.raises(TimedOut):
            async for _ in replies_to(client, Count(to=1), first_within=0.2):
                pass


async def test_who_waits_in_line_is_told_and_does_not_give_up(servers: Servers) -> None:
    async def write(_: Count, replies: ReplyStream) -> None:
        for _ in range(4):
            await replies.send(QUEUED)
            await asyncio.sleep(0.15)
        await replies.send(Delta(i=0, text="x"))

    async with serving(servers, write) as client:
        got = [piece async for piece in replies_to(client, Count(to=1), first_within=0.4)]
    assert [piece.type for piece in got] == ["waiting"] * 4 + ["delta"]


class Busy:
    """Refuses so often, then answers."""

    def __init__(self, times: int, *, after: float | None = 0.05) -> None:
        self.error = Unavailable("The model is busy.", code="busy", retry_after=after)
        self.times = times
        self.asked_at: list[float] = []

    async def write(self, question: Count, replies: ReplyStream) -> None:
        self.asked_at.append(time.monotonic())
        await replies.send(QUEUED)
        if len(self.asked_at) <= self.times:
            raise self.error
        await count(question, replies)


@pytest.mark.parametrize("after", [0.05, None], ids=["as told", "as it thinks fit"])
async def test_who_has_patience_asks_again(servers: Servers, after: float | None) -> None:
    busy = Busy(2, after=after)
    async with serving(servers, busy.write) as client:
        got = [piece.type async for piece in replies_to(client, Count(to=2), patience=10)]
    assert got == ["waiting", "waiting", "waiting", "delta", "delta"]
    pauses = [later - earlier for earlier, later in pairwise(busy.asked_at)]
    assert all(pause >= (after or 0.125) for pause in pauses)


async def test_patience_ends(servers: Servers) -> None:
    busy = Busy(10**6, after=0.1)
    async with serving(servers, busy.write) as client:
        with pytest.raises(Unavailable) as error:
            async for _ in replies_to(client, Count(to=1), patience=0.25):
                pass
    assert error.value.code == "busy"
    assert 2 <= len(busy.asked_at) <= 3


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        (1, Unavailable("The engine died.", code="engine_died")),
        (0, InternalError("It is broken.")),
        (0, TimedOut("It took too long.", code="deadline_passed")),
    ],
    ids=["begun", "our fault", "too late"],
)
async def test_what_asking_again_does_not_mend_is_told_at_once(
    servers: Servers, pieces: int, error: Unavailable
) -> None:
    asked = 0

    async def write(_: Count, replies: ReplyStream) -> None:
        nonlocal asked
        asked += 1
        await count(Count(to=pieces), replies)
        raise error

    async with serving(servers, write) as client:
        with pytest.raises(type(error)):
            async for _ in replies_to(client, Count(to=1), patience=10):
                pass
    assert asked == 1


async def test_a_service_that_is_started_again_is_waited_for(servers: Servers) -> None:
    async def read(client: Connection) -> list[int]:
        return [piece.i async for piece in replies_to(client, Count(to=3), patience=10)]

    async with servers.connected("gateway") as client:
        reading = asyncio.create_task(read(client))
        one = asyncio.create_task(ask(client, SCORE, Count(to=1), Delta, patience=0.3))
        with pytest.raises(Unavailable):
            await one
        assert not reading.done()
        async with serving(servers, count):
            assert await reading == [0, 1, 2]


async def test_nobody_there_is_an_error_at_once(servers: Servers) -> None:
    async with servers.connected("gateway") as client:
        with pytest.raises(Unavailable) as error:
            async for _ in replies_to(client, Count(to=1)):
                pass
        assert error.value.code == "no_responders"
