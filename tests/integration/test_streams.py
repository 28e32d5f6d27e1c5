"""Streamed replies: order, credit, cancellation, and readers that go away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from chorus.common.bus import headers as h
from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.discovery import Identity
from chorus.common.bus.replies import CREDIT_EVERY, ReaderGone, ReplyStream
from chorus.common.bus.responder import Responder
from chorus.common.contracts.generation import CANCEL, GENERATE, MAX_UNCREDITED_BYTES, Delta
from chorus.common.contracts.wire import Request
from chorus.common.errors import Cancelled, InvalidInput, TimedOut, Unavailable
from chorus.common.telemetry.metrics import RequestMetrics
from tests.support.servers import Servers


class Count(Request):
    to: int


DELTA = TypeAdapter(Delta)
Handle = Callable[[Count, ReplyStream], Awaitable[None]]


@asynccontextmanager
async def serving(servers: Servers, handle: Handle) -> AsyncIterator[Connection]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(servers.connected("inference"))
        client = await stack.enter_async_context(servers.connected("gateway"))
        identity = Identity("counter", "abc", "1.0.0", "For tests")
        metrics = RequestMetrics(CollectorRegistry())
        responder = Responder(server, identity, metrics, slots=8, backlog=8, grace=5.0)
        responder.stream("generate", GENERATE, Count, handle, cancel=CANCEL)
        await stack.enter_async_context(responder)
        yield client


async def count(question: Count, replies: ReplyStream) -> None:
    for i in range(question.to):
        await replies.send(Delta(i=i, text=str(i)))


def replies_to(client: Connection, question: Count, **options: float):  # type: ignore[no-untyped-def]
    return ask_stream(client, GENERATE, question, DELTA, cancel=CANCEL, **options)


@pytest.mark.parametrize("to", [0, 1, CREDIT_EVERY - 1, CREDIT_EVERY, 1000])
async def test_all_pieces_arrive_in_order(servers: Servers, to: int) -> None:
    async with serving(servers, count) as client:
        assert [piece.i async for piece in replies_to(client, Count(to=to))] == list(range(to))


async def test_a_slow_reader_holds_the_writer_back(servers: Servers) -> None:
    sent = 0

    async def write(question: Count, replies: ReplyStream) -> None:
        nonlocal sent
        for i in range(question.to):
            await replies.send(Delta(i=i, text="x"))
            sent = i + 1

    async with serving(servers, write) as client:
        inbox = await client.listen(client.new_inbox())
        headers = {h.REQUEST_ID: "slow", h.CREDIT: "1"}
        await client.publish(GENERATE, b'{"to": 1000}', inbox.subject, headers)
        first = [await inbox.next_msg(timeout=5) for _ in range(CREDIT_EVERY)]
        assert first[-1].reply, "the last of them asks for credit"
        assert sent == CREDIT_EVERY - 1, "and until it has it, nothing more is written"
        await client.publish(first[-1].reply)
        more = [await inbox.next_msg(timeout=5) for _ in range(CREDIT_EVERY)]
        assert more[-1].reply
        await client.publish(f"{CANCEL}.slow")


async def test_without_credit_plain_messages_and_an_empty_one_at_the_end(servers: Servers) -> None:
    async with serving(servers, count) as client:
        inbox = await client.listen(client.new_inbox())
        await client.publish(GENERATE, b'{"to": 100}', inbox.subject)
        got = [await inbox.next_msg(timeout=5) for _ in range(101)]
        assert got[0].data == b'{"v":1,"type":"delta","i":0,"text":"0"}'
        assert not any(message.reply for message in got)
        assert got[-1].data == b""


async def test_without_credit_there_is_a_limit(servers: Servers) -> None:
    async def flood(_: Count, replies: ReplyStream) -> None:
        for i in range(2 * MAX_UNCREDITED_BYTES // 1000):
            await replies.send(Delta(i=i, text="x" * 1000))

    async with serving(servers, flood) as client:
        inbox = await client.listen(client.new_inbox())
        await client.publish(GENERATE, b'{"to": 1}', inbox.subject)
        while not (message := await inbox.next_msg(timeout=5)).headers:
            pass
        assert message.headers[h.ERROR_CODE] == "too_large"


async def test_a_reader_who_leaves_ends_the_writing(servers: Servers) -> None:
    stopped = asyncio.Event()

    async def write(_: Count, replies: ReplyStream) -> None:
        try:
            for i in range(10**9):
                await replies.send(Delta(i=i, text="x"))
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async with serving(servers, write) as client:
        async with aclosing(replies_to(client, Count(to=1))) as replies:
            async for piece in replies:
                if piece.i == 100:
                    break
        async with asyncio.timeout(5):
            await stopped.wait()


async def test_a_reader_whose_connection_is_gone_is_noticed(servers: Servers) -> None:
    gone: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def write(_: Count, replies: ReplyStream) -> None:
        try:
            for i in range(10**9):
                await replies.send(Delta(i=i, text="x"))
        except ReaderGone as error:
            gone.set_result(error)
            raise

    async with serving(servers, write):
        async with servers.connected("gateway") as reader:
            inbox = await reader.listen(reader.new_inbox())
            headers = {h.REQUEST_ID: "gone", h.CREDIT: "1"}
            await reader.publish(GENERATE, b'{"to": 1}', inbox.subject, headers)
            await inbox.next_msg(timeout=5)
        async with asyncio.timeout(8):
            await gone


async def test_a_cancelled_request_says_so(servers: Servers) -> None:
    begun = asyncio.Event()

    async def write(_: Count, replies: ReplyStream) -> None:
        await replies.send(Delta(i=0, text="x"))
        begun.set()
        await asyncio.Event().wait()

    async with serving(servers, write) as client:
        inbox = await client.listen(client.new_inbox())
        await client.publish(GENERATE, b'{"to": 1}', inbox.subject, {h.REQUEST_ID: "mine"})
        await begun.wait()
        await client.publish(f"{CANCEL}.mine")
        await inbox.next_msg(timeout=5)
        last = await inbox.next_msg(timeout=5)
        assert last.headers is not None
        assert last.headers[h.ERROR_CODE] == "cancelled"
        assert last.headers[h.ERROR_STATUS] == str(Cancelled.status)


async def test_an_error_in_the_middle_ends_the_stream(servers: Servers) -> None:
    async def write(_: Count, replies: ReplyStream) -> None:
        await replies.send(Delta(i=0, text="x"))
        raise InvalidInput("No more.", code="no_more")

    async with serving(servers, write) as client:
        got = []
        with pytest.raises(InvalidInput) as error:
            async for piece in replies_to(client, Count(to=1)):
                got.append(piece.i)
        assert got == [0]
        assert error.value.code == "no_more"


async def test_silence_is_an_error(servers: Servers) -> None:
    async def silent(_: Count, replies: ReplyStream) -> None:
        await asyncio.Event().wait()

    async with serving(servers, silent) as client:
        with pytest.raises(TimedOut):
            async for _ in replies_to(client, Count(to=1), first_within=0.2):
                pass


async def test_nobody_there_is_an_error_at_once(servers: Servers) -> None:
    async with servers.connected("gateway") as client:
        with pytest.raises(Unavailable) as error:
            async for _ in replies_to(client, Count(to=1)):
                pass
        assert error.value.code == "no_responders"
