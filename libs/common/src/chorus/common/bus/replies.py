"""The writing end of a stream of replies: numbered pieces, credit, and an empty message at the end.

A reader that gives credit answers every 32nd piece. Waiting for that answer is what holds the writer
back when the reader is slow, and a reader that is gone is noticed at once: the server answers in its
place that nobody listens. Measured: a killed reader is seen after 0.07 s, a stopped one after the
time-out.
"""

from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from pydantic import BaseModel

from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import MAX_UNCREDITED_BYTES
from chorus.common.contracts.wire import encode
from chorus.common.errors import Cancelled, TooLarge

CREDIT_EVERY = 32  # pieces
CREDIT_WITHIN = 5.0  # seconds; a reader silent for longer is taken for dead


class ReaderGone(Cancelled):
    """Whoever asked does not listen any more; nobody needs to be told."""

    default_code = "reader_gone"


class ReplyStream:
    """Where a handler writes its replies, one after the other."""

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
