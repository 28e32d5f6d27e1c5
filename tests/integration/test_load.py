"""Many requests over a real bus, and processes that come and go: none is lost, no burst comes back as one."""

import asyncio
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import CANCEL, GENERATE, Delta, Generate, GenerateReply
from chorus.inference.generation.ports import Piece
from tests.support.answering import Answering
from tests.support.servers import Servers

REPLY = TypeAdapter[Any](GenerateReply)
WORDS = [f"{number} " for number in range(20)]


def writing(at_once: int, guild_waiting: int = 8) -> Answering:
    """A service whose engine takes a moment for each word."""
    pieces = [Piece(word, 1, "stop" if word == WORDS[-1] else None) for word in WORDS]
    return Answering(*pieces, at_once=at_once, guild_waiting=guild_waiting, step=0.005)


async def answer(client: Connection, patience: float = 20) -> str:
    """One reply, whole, from whoever gives it."""
    asked = Generate(messages=[Turn(role="user", content="hello")])
    replies = ask_stream(client, GENERATE, asked, REPLY, cancel=CANCEL, patience=patience)
    return "".join([piece.text async for piece in replies if isinstance(piece, Delta)])


async def test_a_rolling_restart_loses_nothing(servers: Servers) -> None:
    """What is being written at a stop is finished; what waits is handed back, and asked of another one."""
    said: list[str] = []
    enough = False

    async def talk(client: Connection) -> None:
        while not enough:
            said.append(await answer(client))

    async with servers.connected("gateway") as client:
        async with writing(at_once=2).on(servers):
            async with (first := writing(at_once=2)).on(servers):
                talks = [asyncio.create_task(talk(client)) for _ in range(16)]
                await until(lambda: first.admission.waiting)
            async with (again := writing(at_once=2)).on(servers):
                await until(lambda: again.admission.waiting)
        enough = True  # the last ones find nobody, and wait until there is somebody
        async with writing(at_once=8).on(servers):
            await asyncio.gather(*talks)
    assert len(said) >= 16
    assert set(said) == {"".join(WORDS)}
    assert first.sample("refusals_total", code="shutting_down") > 0
    assert first.is_at_rest()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_burst_is_served_to_the_end_to_who_comes_back_as_told(servers: Servers) -> None:
    service = writing(at_once=8)
    async with servers.connected("gateway") as client, service.on(servers):
        said = await asyncio.gather(*(answer(client) for _ in range(40)))
    assert set(said) == {"".join(WORDS)}
    assert service.sample("refusals_total", code="busy") > 0
    assert service.is_at_rest()
