"""Streamed replies: order, credit, cancellation, and readers that go away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from nats.aio.subscription import Subscription

from chorus.common.bus import headers as h
from chorus.common.bus import replies
from chorus.common.bus.connection import Connection
from chorus.common.bus.replies import CREDIT_EVERY, ReplyStream
from chorus.common.contracts.generation import (
    CANCEL,
    GENERATE,
    MAX_UNCREDITED_BYTES,
    Delta,
)
from chorus.common.errors import Cancelled, InvalidInput
from tests.support.servers import Servers
from tests.support.streams import Count, count, replies_to, serving


@asynccontextmanager
async def reading(servers: Servers, request: str) -> AsyncIterator[Subscription]:
    """A reader with a connection of its own, lost on leaving; it has asked, and answers nothing by itself."""
    async with servers.connected("gateway") as reader:
        inbox = await reader.listen(reader.new_inbox())
        headers = {h.REQUEST_ID: request, h.CREDIT: "1"}
        await reader.publish(GENERATE, b'{"to": 1}', inbox.subject, headers)
        yield inbox


async def last_error(servers: Servers) -> str:
    async with servers.connected("operator") as operator:
        stats = json.loads((await operator.request("$SRV.STATS.inference")).data)
    error: str = stats["endpoints"][0]["last_error"]
    return error


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


@pytest.mark.parametrize("pieces", [0, 1, CREDIT_EVERY], ids=["none yet", "rarely", "credit is owed"])
async def test_a_reader_whose_connection_is_gone_is_noticed_within_two_seconds(
    servers: Servers, pieces: int
) -> None:
    """Whether the writer has said nothing yet, is waiting for its next piece, or for credit."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def write(_: Count, replies: ReplyStream) -> None:
        begun.set()
        try:
            for i in range(pieces):
                await replies.send(Delta(i=i, text="x"))
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(servers, write):
        async with reading(servers, "gone") as inbox:
            await begun.wait()
            for _ in range(pieces):
                await inbox.next_msg(timeout=5)
        left = time.monotonic()
        await ended.wait()
        assert time.monotonic() - left < 2
        async with asyncio.timeout(5):
            while await last_error(servers) != "reader_gone":
                await asyncio.sleep(0.01)


async def test_a_slow_reader_who_is_there_is_waited_for(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.common.bus.replies.LOOK_EVERY", 0.05)
    monkeypatch.setattr("chorus.common.bus.replies.NOBODY_WITHIN", 0.05)

    async def write(_: Count, replies: ReplyStream) -> None:
        for i in range(CREDIT_EVERY + 1):
            await replies.send(Delta(i=i, text="x"))

    async with serving(servers, write), reading(servers, "slow") as inbox:
        *_, owed = [await inbox.next_msg(timeout=5) for _ in range(CREDIT_EVERY)]
        for _ in range(3):
            asked = await inbox.next_msg(timeout=5)
            assert (asked.data, asked.headers) == (b"", {h.CREDIT: h.ANYBODY})
        await owed.respond(b"")
        assert (await inbox.next_msg(timeout=5)).data == b'{"v":1,"type":"delta","i":32,"text":"x"}'
        end = await inbox.next_msg(timeout=5)
        assert (end.data, end.headers) == (b"", None)


async def test_who_asks_is_not_told_of_the_question_whether_it_is_there(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chorus.common.bus.replies.LOOK_EVERY", 0.05)
    asked = asyncio.Event()
    nobody_listens = replies._nobody_listens  # pyright: ignore[reportPrivateUsage]

    async def look(connection: Connection, inbox: str) -> bool:
        gone = await nobody_listens(connection, inbox)
        asked.set()
        return gone

    monkeypatch.setattr(replies, "_nobody_listens", look)

    async def write(_: Count, stream: ReplyStream) -> None:
        await stream.send(Delta(i=0, text="x"))
        await asked.wait()
        await stream.send(Delta(i=1, text="x"))

    async with serving(servers, write) as client:
        assert [piece.i async for piece in replies_to(client, Count(to=2))] == [0, 1]


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


async def test_one_cancel_is_enough_and_two_do_no_harm(servers: Servers) -> None:
    """A second one does not cut off what the first one has to tidy up."""
    begun, tidying, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tidied = False

    async def write(_: Count, replies: ReplyStream) -> None:
        nonlocal tidied
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            tidying.set()
            await go_on.wait()
            tidied = True

    async with serving(servers, write) as client:
        inbox = await client.listen(client.new_inbox())
        await client.publish(GENERATE, b'{"to": 1}', inbox.subject, {h.REQUEST_ID: "twice"})
        await begun.wait()
        await client.publish(f"{CANCEL}.twice")
        await tidying.wait()
        await client.publish(f"{CANCEL}.twice")
        await client.flush()
        go_on.set()
        assert ((await inbox.next_msg(timeout=5)).headers or {})[h.ERROR_CODE] == "cancelled"
    assert tidied


async def test_what_is_in_hand_at_a_stop_can_still_be_cancelled(servers: Servers) -> None:
    begun = asyncio.Event()

    async def write(_: Count, replies: ReplyStream) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with servers.connected("gateway") as client, asyncio.TaskGroup() as tasks:
        inbox = await client.listen(client.new_inbox())
        async with serving(servers, write):
            await client.publish(GENERATE, b'{"to": 1}', inbox.subject, {h.REQUEST_ID: "late"})
            await begun.wait()
            tasks.create_task(cancelled_when_nobody_serves(client, "late"))
        assert ((await inbox.next_msg(timeout=1)).headers or {})[h.ERROR_CODE] == "cancelled"


async def cancelled_when_nobody_serves(client: Connection, request: str) -> None:
    """Wait until new requests are not taken any more, then cancel the old one."""
    inbox = await client.listen(client.new_inbox())
    while True:
        await client.publish(GENERATE, b"{}", inbox.subject)
        if h.STATUS in ((await inbox.next_msg(timeout=5)).headers or {}):
            break
    await client.publish(f"{CANCEL}.{request}")


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
