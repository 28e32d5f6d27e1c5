"""A stream as NATS itself copies it, with its consumers, and back: JetStream's SNAPSHOT and RESTORE.

    $JS.API.STREAM.SNAPSHOT.<stream>   the server sends pieces; each is answered, so that it waits for us
    $JS.API.STREAM.RESTORE.<stream>    says where the pieces are to go; each is a request, the last one empty

What is copied is of one moment, sequence numbers included: a record's revision is the same afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import IO, Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from chorus.common.bus.connection import Connection
from chorus.common.errors import TimedOut, Unavailable
from chorus.common.operations.access import NO_SUCH_STREAM, JetStreamRefused, answered, jetstream

PIECE = 128 * 1024  # bytes; the server's own choice
ACKS = "$JS.SNAPSHOT.ACK."  # where the server hears that pieces have arrived, and nobody else
SILENCE = 30.0  # seconds without a further piece
BEGUN_WITHIN = 60.0  # seconds; the server writes what it has in memory first
ENDED_WITHIN = 300.0  # seconds; it reads the whole copy, and makes its index
STATUS, DESCRIPTION = "Status", "Description"  # headers of the last piece, where the server gives up


async def copy_out(connection: Connection, stream: str, file: IO[bytes]) -> dict[str, Any]:
    """Write a stream to an open file; returns its state at that moment, as JetStream tells it.

    Raises `JetStreamRefused`, `TimedOut`, and `Unavailable` where the server gives up.
    """
    pieces: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await connection.listen(connection.new_inbox(), cb=pieces.put)
    try:
        asked = {"deliver_subject": subscription.subject, "chunk_size": PIECE}
        answer = await jetstream(connection, f"STREAM.SNAPSHOT.{stream}", asked, within=BEGUN_WITHIN)
        while piece := await _next(pieces, stream):
            await asyncio.to_thread(file.write, piece.data)
            if piece.reply.startswith(ACKS):  # a window of pieces is full: the next ones may come
                await connection.publish(piece.reply)
        state: dict[str, Any] = answer["state"]
        return state
    finally:
        await subscription.unsubscribe()


async def _next(pieces: asyncio.Queue[Msg], stream: str) -> Msg | None:
    """The next piece, or None at the end."""
    try:
        message = await asyncio.wait_for(pieces.get(), SILENCE)
    except TimeoutError:
        raise TimedOut(
            f"NATS stopped sending the stream {stream}. Try again.", code="snapshot_stopped"
        ) from None
    if message.data:
        return message
    headers = message.headers or {}
    if (status := headers.get(STATUS)) and status != "204":
        raise Unavailable(
            f"NATS gave up copying the stream {stream} ({status} {headers.get(DESCRIPTION, '')}). Try again.",
            code="snapshot_stopped",
        )
    return None


async def copy_in(
    connection: Connection, config: dict[str, Any], state: dict[str, Any], file: IO[bytes]
) -> dict[str, Any]:
    """Make a stream of a copy; it must not be there. Returns its state, as JetStream tells it.

    Raises `JetStreamRefused` where the server does not take it, and `Unavailable`.
    """
    asked = {"config": config, "state": state}
    answer = await jetstream(connection, f"STREAM.RESTORE.{config['name']}", asked, within=BEGUN_WITHIN)
    send = _sender(connection, answer["deliver_subject"])
    while piece := await asyncio.to_thread(file.read, PIECE):
        refused = await send(piece, SILENCE)
        if refused.data:  # an error; a piece that is taken is answered by nothing
            answered(refused.data)
    made = answered((await send(b"", ENDED_WITHIN)).data)
    restored: dict[str, Any] = made["state"]
    return restored


def _sender(connection: Connection, subject: str) -> Callable[[bytes, float], Awaitable[Msg]]:
    async def send(data: bytes, within: float) -> Msg:
        try:
            return await connection.request(subject, data, timeout=within)
        except NatsError as error:
            raise Unavailable(
                f"NATS stopped taking the stream ({type(error).__name__}). Restore again with --over.",
                code="restore_stopped",
            ) from None

    return send


async def remove(connection: Connection, stream: str) -> None:
    """Delete a stream with all that lies in it; one that is not there is fine."""
    try:
        await jetstream(connection, f"STREAM.DELETE.{stream}")
    except JetStreamRefused as refused:
        if refused.number != NO_SUCH_STREAM:
            raise


async def messages_in(connection: Connection, stream: str) -> int:
    """How many lie in it; none in one that is not there."""
    try:
        answer = await jetstream(connection, f"STREAM.INFO.{stream}")
    except JetStreamRefused as refused:
        if refused.number != NO_SUCH_STREAM:
            raise
        return 0
    count: int = answer["state"]["messages"]
    return count
