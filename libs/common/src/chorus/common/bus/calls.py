"""Asking over the bus: one reply, or a stream of them.

With `patience` whoever is told to try again later does so: `busy` and its like say when (`Retry-After`);
a service that is just being started again is asked anew after a moment. That the bus is away is told at once
where the connection gives up (`connection`).
"""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from pydantic import BaseModel, TypeAdapter

from chorus.common.bus import absence
from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.inboxes import reply_of
from chorus.common.contracts.generation import Waiting
from chorus.common.contracts.wire import decode, encode
from chorus.common.errors import ChorusError, InternalError, TimedOut, Unavailable
from chorus.common.telemetry.tracing import carried

FIRST_REPLY_WITHIN = 60.0  # seconds; a request may wait its turn behind others
NEXT_REPLY_WITHIN = 30.0  # seconds; a model that is writing says something every few milliseconds
PAUSES = (0.25, 3.0)  # seconds before asking again where none are told: at first, and at most

Answer = TypeVar("Answer", bound=BaseModel)
Reply = TypeVar("Reply")


async def ask(
    connection: Connection,
    subject: str,
    question: BaseModel,
    answer: type[Answer],
    *,
    within: float = 10.0,
    patience: float = 0.0,
    cancel: str | None = None,
) -> Answer:
    """Send a question and wait for its one answer, at most `within` seconds.

    An error that may pass is waited out for up to `patience` seconds in all. With `cancel`, the work is
    ended when nobody waits for it any more; for what the service makes long work of.
    Raises the peer's error, `Unavailable` when nobody serves the subject, `TimedOut`, `NotPermitted`.
    """
    again = _Again(patience)
    while True:
        try:
            if cancel is None:
                return await _ask_once(connection, subject, question, answer, within)
            return await _ask_long(connection, subject, question, answer, within, cancel)
        except ChorusError as error:
            await again.after(error)


async def _ask_once(
    connection: Connection, subject: str, question: BaseModel, answer: type[Answer], within: float
) -> Answer:
    try:
        reply = await connection.request(subject, encode(question), timeout=within, headers=carried())
    except NoRespondersError:
        raise nobody_serves(subject) from None
    except NatsTimeout:
        raise TimedOut(f"No answer from {subject} within {within:.0f} s. Try again in a moment.") from None
    if error := h.error_in(reply.headers):
        raise error
    return decode(answer, reply.data)


async def _ask_long(
    connection: Connection,
    subject: str,
    question: BaseModel,
    answer: type[Answer],
    within: float,
    cancel: str,
) -> Answer:
    async with _asking(connection, subject, question, cancel, within) as asked:
        asked.ended = True
        if error := _error_in(asked.first, subject):
            raise error
        return decode(answer, asked.first.data)


async def ask_stream(
    connection: Connection,
    subject: str,
    question: BaseModel,
    reply: TypeAdapter[Reply],
    *,
    cancel: str,
    first_within: float = FIRST_REPLY_WITHIN,
    next_within: float = NEXT_REPLY_WITHIN,
    patience: float = 0.0,
) -> AsyncGenerator[Reply, None]:
    """Send a question and yield its replies until the empty message that ends them.

    `first_within` and `next_within` are seconds of silence, before and after the first piece of the answer;
    `Waiting` is none, and breaks the silence. Before that piece, an error that may pass is waited out for
    up to `patience` seconds in all. Leaving the iterator early publishes to `<cancel>.<request id>`, so
    that nobody goes on writing. Raises as `ask` does; also when a reply was lost on the way.
    """
    again = _Again(patience)
    while True:
        begun = False
        asked = _ask_stream_once(connection, subject, question, cancel, first_within, next_within, reply)
        try:
            async with aclosing(asked) as replies:
                async for piece in replies:
                    begun = begun or not isinstance(piece, Waiting)
                    yield piece
            return
        except ChorusError as error:
            if begun:
                raise
            await again.after(error)


async def _ask_stream_once(
    connection: Connection,
    subject: str,
    question: BaseModel,
    cancel: str,
    first_within: float,
    next_within: float,
    reply: TypeAdapter[Reply],
) -> AsyncGenerator[Reply, None]:
    within = first_within
    async with _asking(connection, subject, question, cancel, first_within) as asked:
        message = asked.first
        while True:
            if credited := reply_of(message):
                await connection.publish(credited)  # credit: go on
            asked.ended = bool(message.headers) or not message.data
            if error := _error_in(message, subject):
                raise error
            if asked.ended:
                return
            piece = reply.validate_json(message.data)
            yield piece
            if not isinstance(piece, Waiting):
                within = next_within
            message = await _next(asked.inbox, subject, within)


@dataclass
class _Asked:
    """A question that was sent, and what has come back; None is that the bus is away for too long."""

    inbox: asyncio.Queue[Msg | None]
    first: Msg
    ended: bool = False
    """Whether nothing more will come."""


@asynccontextmanager
async def _asking(
    connection: Connection, subject: str, question: BaseModel, cancel: str, within: float
) -> AsyncGenerator[_Asked]:
    """A question with an inbox of its own, once the first reply is there; whoever leaves early cancels it."""
    connection.absence.refuse()
    inbox: asyncio.Queue[Msg | None] = asyncio.Queue()
    subscription = await connection.subscribe(connection.new_inbox(), cb=_into(inbox))
    request_id = uuid.uuid4().hex
    deadline = int((time.time() + within) * 1000)
    headers = {h.REQUEST_ID: request_id, h.DEADLINE: str(deadline), h.CREDIT: "1"} | carried()
    asked: _Asked | None = None
    away = connection.absence.felt
    away.add_done_callback(tell_away := lambda _: inbox.put_nowait(None))
    try:
        with connection.refusal_of(subject) as refusal:
            await connection.publish(subject, encode(question), subscription.subject, headers)
            asked = _Asked(inbox, await _first(inbox, refusal, subject, within))
        yield asked
    finally:
        away.remove_done_callback(tell_away)
        with suppress(NatsError):  # the connection may be the very thing that failed
            if asked is None or not asked.ended:
                await connection.publish(f"{cancel}.{request_id}")
            await subscription.unsubscribe()


def _into(inbox: asyncio.Queue[Msg | None]) -> Callable[[Msg], Awaitable[None]]:
    """Takes in replies. What only asks whether anybody listens is answered by being subscribed."""

    async def receive(message: Msg) -> None:
        if (message.headers or {}).get(h.CREDIT) != h.ANYBODY:
            inbox.put_nowait(message)

    return receive


async def _first(
    inbox: asyncio.Queue[Msg | None], refusal: asyncio.Future[Any], subject: str, within: float
) -> Msg:
    """The first reply, or the reason why there will be none."""
    arrival = asyncio.ensure_future(_next(inbox, subject, within))
    try:
        await asyncio.wait({arrival, refusal}, return_when=asyncio.FIRST_COMPLETED)
        if refusal.done():
            refusal.result()
        return await arrival
    finally:
        arrival.cancel()


async def _next(inbox: asyncio.Queue[Msg | None], subject: str, within: float) -> Msg:
    try:
        if inbox.empty():
            async with asyncio.timeout(within):
                message = await inbox.get()
        else:
            message = inbox.get_nowait()
    except TimeoutError:
        raise TimedOut(f"{subject} has said nothing for {within:.0f} s. Try again.") from None
    if message is None:
        raise absence.bus_away()
    return message


def _error_in(message: Msg, subject: str) -> ChorusError | None:
    if message.headers and message.headers.get(h.STATUS) == h.NO_RESPONDERS:
        return nobody_serves(subject)
    return h.error_in(message.headers)


class _Again:
    """When to ask again, while there is patience."""

    def __init__(self, patience: float) -> None:
        self._until = time.monotonic() + patience
        self._pause, self._longest = PAUSES

    async def after(self, error: ChorusError) -> None:
        """Return when it is time to ask again; raise the error where that is of no use, or too late."""
        pause = error.retry_after
        if pause is None:
            pause = self._pause * random.uniform(0.5, 1)
            self._pause = min(2 * self._pause, self._longest)
        passes = error.retryable and error.code not in ("deadline_passed", absence.CODE)
        if not passes or time.monotonic() + pause > self._until:
            raise error
        await asyncio.sleep(pause)


def nobody_serves(subject: str) -> Unavailable:
    """The error for a subject that no service listens on."""
    return Unavailable(f"Nothing serves {subject} at the moment. Try again shortly.", code="no_responders")


def lost_reply(subject: str) -> InternalError:
    """The error for a gap in a stream's numbering."""
    return InternalError(f"A piece of the answer from {subject} was lost. Ask again.", code="reply_lost")
