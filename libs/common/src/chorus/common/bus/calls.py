"""Asking over the bus: one reply, or a stream of them."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, TypeVar

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from pydantic import BaseModel, TypeAdapter

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.contracts.wire import decode, encode
from chorus.common.errors import ChorusError, InternalError, TimedOut, Unavailable

FIRST_REPLY_WITHIN = 60.0  # seconds; a request may wait its turn behind others
NEXT_REPLY_WITHIN = 30.0  # seconds; a model that is writing says something every few milliseconds

Answer = TypeVar("Answer", bound=BaseModel)
Reply = TypeVar("Reply")


async def ask(
    connection: Connection, subject: str, question: BaseModel, answer: type[Answer], *, within: float = 10.0
) -> Answer:
    """Send a question and wait for its one answer, at most `within` seconds.

    Raises the peer's error, `Unavailable` when nobody serves the subject, `TimedOut`, `NotPermitted`.
    """
    try:
        reply = await connection.request(subject, encode(question), timeout=within)
    except NoRespondersError:
        raise nobody_serves(subject) from None
    except NatsTimeout:
        raise TimedOut(f"No answer from {subject} within {within:.0f} s. Try again in a moment.") from None
    if error := h.error_in(reply.headers):
        raise error
    return decode(answer, reply.data)


async def ask_stream(
    connection: Connection,
    subject: str,
    question: BaseModel,
    reply: TypeAdapter[Reply],
    *,
    cancel: str,
    first_within: float = FIRST_REPLY_WITHIN,
    next_within: float = NEXT_REPLY_WITHIN,
) -> AsyncGenerator[Reply, None]:
    """Send a question and yield its replies until the empty message that ends them.

    Leaving the iterator early publishes to `<cancel>.<request id>`, so that nobody goes on writing.
    Raises as `ask` does; also when a reply was lost on the way.
    """
    inbox: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await connection.subscribe(connection.new_inbox(), cb=inbox.put)
    request_id = uuid.uuid4().hex
    deadline = int((time.time() + first_within) * 1000)
    headers = {h.REQUEST_ID: request_id, h.DEADLINE: str(deadline), h.CREDIT: "1"}
    ended = False
    try:
        with connection.refusal_of(subject) as refusal:
            await connection.publish(subject, encode(question), subscription.subject, headers)
            message = await _first(inbox, refusal, subject, first_within)
        while True:
            if message.reply:
                await connection.publish(message.reply)  # credit: go on
            ended = bool(message.headers) or not message.data
            if error := _error_in(message, subject):
                raise error
            if ended:
                return
            yield reply.validate_json(message.data)
            message = await _next(inbox, subject, next_within)
    finally:
        with suppress(NatsError):  # the connection may be the very thing that failed
            if not ended:
                await connection.publish(f"{cancel}.{request_id}")
            await subscription.unsubscribe()


async def _first(inbox: asyncio.Queue[Msg], refusal: asyncio.Future[Any], subject: str, within: float) -> Msg:
    """The first reply, or the reason why there will be none."""
    arrival = asyncio.ensure_future(_next(inbox, subject, within))
    try:
        await asyncio.wait({arrival, refusal}, return_when=asyncio.FIRST_COMPLETED)
        if refusal.done():
            refusal.result()
        return await arrival
    finally:
        arrival.cancel()


async def _next(inbox: asyncio.Queue[Msg], subject: str, within: float) -> Msg:
    try:
        async with asyncio.timeout(within):
            return await inbox.get()
    except TimeoutError:
        raise TimedOut(f"{subject} has said nothing for {within:.0f} s. Try again.") from None


def _error_in(message: Msg, subject: str) -> ChorusError | None:
    if message.headers and message.headers.get(h.STATUS) == h.NO_RESPONDERS:
        return nobody_serves(subject)
    return h.error_in(message.headers)


def nobody_serves(subject: str) -> Unavailable:
    """The error for a subject that no service listens on."""
    return Unavailable(f"Nothing serves {subject} at the moment. Try again shortly.", code="no_responders")


def lost_reply(subject: str) -> InternalError:
    """The error for a gap in a stream's numbering."""
    return InternalError(f"A piece of the answer from {subject} was lost. Ask again.", code="reply_lost")
