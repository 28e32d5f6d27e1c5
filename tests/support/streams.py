"""A service that counts, piece by piece."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter

from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    Delta,
    GenerateReply,
    Waiting,
)
from chorus.common.contracts.wire import Request
from tests.support.servers import Servers


class Count(Request):
    to: int


REPLY = TypeAdapter[Any](GenerateReply)
QUEUED = Waiting(code="queued", text="3 ahead")
Handle = Callable[[Count, ReplyStream], Awaitable[None]]


@asynccontextmanager
async def serving(servers: Servers, handle: Handle) -> AsyncIterator[Connection]:
    def declare(responder: Responder) -> None:
        responder.stream("generate", GENERATE, Count, handle, cancel=CANCEL)

    async with servers.serving("inference", declare), servers.connected("gateway") as client:
        yield client


async def count(question: Count, replies: ReplyStream) -> None:
    for i in range(question.to):
        await replies.send(Delta(i=i, text=str(i)))


def replies_to(client: Connection, question: Count, **options: float):  # type: ignore[no-untyped-def]
    return ask_stream(client, GENERATE, question, REPLY, cancel=CANCEL, **options)
