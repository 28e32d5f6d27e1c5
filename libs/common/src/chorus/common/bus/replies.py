"""The writing end of a stream of replies: numbered pieces, credit, and an empty message at the end.

A reader that gives credit answers every 32nd piece. Waiting for that answer is what holds the writer back
when the reader is slow.

Whether such a reader is there at all is asked apart, once a second, and it is the bus that answers: where
nobody listens it says so at once. So a killed reader is seen within 1.5 s, also while it waits for its first
piece or owes an answer, and its work is cut off; one that is merely slow is left in peace.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from pydantic import BaseModel

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import MAX_UNCREDITED_BYTES
from chorus.common.contracts.wire import encode
from chorus.common.errors import Cancelled, TooLarge

CREDIT_EVERY = 32  # pieces
CREDIT_WITHIN = 15.0  # seconds; a reader that is there and reads nothing for longer hangs

LOOK_EVERY = 1.0  # seconds between two questions whether the reader is there
NOBODY_WITHIN = 0.3  # seconds; that nobody listens is answered within milliseconds
BACK_WITHIN = 3.0  # seconds; after an outage of the bus readers are back (`connection.RECONNECT_WAIT`)


class ReaderGone(Cancelled):
    """Whoever asked does not listen any more; nobody needs to be told."""

    default_code = "reader_gone"


class ReplyStream:
    """Where a handler writes its replies, one after the other. Made by `replying`."""

    def __init__(self, connection: Connection, inbox: str, *, credit: bool) -> None:
        self._connection = connection
        self._inbox = inbox
        self._credit = credit
        self._sent = 0
        self._bytes = 0

    async def send(self, piece: BaseModel) -> None:
        """Send one piece; waits while the reader is behind. Raises `ReaderGone` when there is none."""
        data = encode(piece)
        self._sent += 1
        if self._credit and self._sent % CREDIT_EVERY == 0:
            await self._send_for_credit(data)
            return
        self._bytes += 0 if self._credit else len(data)
        if self._bytes > MAX_UNCREDITED_BYTES:
            raise TooLarge(
                f"A reader without the header X-Credit gets at most {MAX_UNCREDITED_BYTES // 1024} KiB."
            )
        await self._connection.publish(self._inbox, data)

    async def _send_for_credit(self, data: bytes) -> None:
        try:
            await self._connection.request(self._inbox, data, timeout=CREDIT_WITHIN)
        except (NoRespondersError, NatsTimeout):
            raise ReaderGone("The reader went away.") from None

    async def end(self) -> None:
        """The empty message after which nothing comes (ADR-47)."""
        await self._connection.publish(self._inbox)


@asynccontextmanager
async def replying(connection: Connection, inbox: str, *, credit: bool) -> AsyncGenerator[ReplyStream]:
    """A stream to write to, ended on leaving.

    With `credit` the work within is cancelled when the reader has gone, and ends with `ReaderGone`.
    """
    stream = ReplyStream(connection, inbox, credit=credit)
    if credit:
        async with while_read(connection, inbox):
            yield stream
    else:
        yield stream
    await stream.end()


@asynccontextmanager
async def while_read(connection: Connection, inbox: str) -> AsyncGenerator[None]:
    """Cancels what is done within, as `asyncio.timeout` does, when nobody reads the inbox any more.

    Raises `ReaderGone` then. Only for inboxes of those who say `X-Credit: 1`: others take the question
    whether they are there for their answer.
    """
    writer = asyncio.current_task()
    assert writer is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        await _until_gone(connection, inbox)
        gone = True
        writer.cancel()

    watching = asyncio.create_task(watch(), name=f"watch {inbox}")
    try:
        yield
    except asyncio.CancelledError:
        if gone and writer.uncancel() == 0:
            raise ReaderGone("The reader went away.") from None
        raise
    finally:
        watching.cancel()


async def _until_gone(connection: Connection, inbox: str) -> None:
    while True:
        outages = connection.stats["reconnects"]
        await asyncio.sleep(LOOK_EVERY)
        gone = await _nobody_listens(connection, inbox)
        if connection.stats["reconnects"] != outages:  # readers lost the bus, too, and come back after us
            await asyncio.sleep(BACK_WITHIN)
        elif gone:
            return


async def _nobody_listens(connection: Connection, inbox: str) -> bool:
    """Whether the server says so. Readers need not answer this question, and ours do not."""
    try:
        await connection.request(inbox, timeout=NOBODY_WITHIN, headers={h.CREDIT: h.ANYBODY})
    except NoRespondersError:
        return True
    except NatsError:  # there is somebody, who has nothing to say; or it is we who are cut off
        return False
    return False
