"""Answering over the bus: an ADR-32 service that serves many requests at a time and stops cleanly.

    responder = Responder(connection, identity, slots=64, backlog=256, grace=20.0)
    responder.answer("list", datasets.LIST, ListDatasets, handle)             one reply
    responder.stream("generate", generation.GENERATE, Generate, handle)      a stream of replies
    async with responder: ...

A task for each request, at most `slots` at work and `backlog` waiting; one more is told `busy` at once.
A handler's `ChorusError` goes back as headers; anything else is logged here and told as an internal
error, so that nobody outside reads our insides. Leaving the context stops in three beats: endpoints are
drained, requests in hand get `grace` seconds, the rest is cancelled and told so.

Answers go to inboxes only (`bus.inboxes`): what asks for one elsewhere is passed over.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import BaseModel
from structlog.contextvars import bind_contextvars

from chorus.common.bus import headers as h
from chorus.common.bus.connection import Connection
from chorus.common.bus.discovery import INFO, PING, STATS, Identity, Listing
from chorus.common.bus.inboxes import reply_of
from chorus.common.bus.replies import ReaderGone, ReplyStream, replying, while_read
from chorus.common.contracts.permissions import QUEUE_GROUP
from chorus.common.contracts.wire import decode, encode
from chorus.common.errors import Cancelled, ChorusError, Conflict, InternalError, TimedOut, Unavailable
from chorus.common.telemetry.logging import bind
from chorus.common.telemetry.metrics import RequestMetrics
from chorus.common.telemetry.tracing import SERVER, span

log = structlog.get_logger()

Question = TypeVar("Question", bound=BaseModel)
Work = Callable[[Any, Msg], Awaitable[None]]


@dataclass(frozen=True)
class _Endpoint:
    listing: Listing
    question: type[BaseModel]
    work: Work
    cancel: str | None


class Responder:
    """Serves endpoints while its context is entered."""

    def __init__(
        self,
        connection: Connection,
        identity: Identity,
        metrics: RequestMetrics,
        *,
        slots: int,
        backlog: int,
        grace: float,
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._metrics = metrics
        self._slots = asyncio.Semaphore(slots)
        self._most = slots + backlog
        self._grace = grace
        self._endpoints: list[_Endpoint] = []
        self._subscriptions: list[Subscription] = []
        self._cancels: list[Subscription] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by request id
        self._stopping = False

    def answer(
        self,
        name: str,
        subject: str,
        question: type[Question],
        handle: Callable[[Question], Awaitable[BaseModel]],
        *,
        cancel: str | None = None,
    ) -> None:
        """Serve a subject whose questions have one answer.

        With `cancel` the work is ended when nobody waits for it any more: by `<cancel>.<request id>`, at the
        request's deadline, and, where its asker says `X-Credit: 1`, when that one is gone.
        """

        async def work(asked: Question, message: Msg) -> None:
            async with self._while_wanted(message) if cancel else nullcontext():
                answer = await handle(asked)
            await self._connection.publish(reply_of(message), encode(answer))

        self._add(name, subject, question, work, cancel=cancel)

    def stream(
        self,
        name: str,
        subject: str,
        question: type[Question],
        handle: Callable[[Question, ReplyStream], Awaitable[None]],
        *,
        cancel: str,
    ) -> None:
        """Serve a subject whose questions have a stream of replies; `<cancel>.<request id>` stops one."""

        async def work(asked: Question, message: Msg) -> None:
            async with replying(
                self._connection, reply_of(message), credit=_gives_credit(message)
            ) as replies:
                await handle(asked, replies)

        self._add(name, subject, question, work, cancel=cancel)

    def _add(
        self, name: str, subject: str, question: type[BaseModel], work: Work, cancel: str | None
    ) -> None:
        schema = {"request_schema": json.dumps(question.model_json_schema(), separators=(",", ":"))}
        self._endpoints.append(_Endpoint(Listing(name, subject, QUEUE_GROUP, schema), question, work, cancel))

    # --- life ------------------------------------------------------------------------------------
    async def __aenter__(self) -> Self:
        listen = self._connection.listen
        # Each once, whoever shares it: a second cancel would cut off the tidying after the first.
        for cancel in dict.fromkeys(endpoint.cancel for endpoint in self._endpoints if endpoint.cancel):
            self._cancels.append(await listen(f"{cancel}.*", cb=self._on_cancel))
        for endpoint in self._endpoints:
            receive = self._receiver(endpoint)
            subject = endpoint.listing.subject
            self._subscriptions.append(await listen(subject, queue=QUEUE_GROUP, cb=receive))
        for verb in (PING, INFO, STATS):
            for subject in self._identity.subjects(verb):
                self._subscriptions.append(await listen(subject, cb=self._discoverer(verb)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await _drain(self._subscriptions)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=self._grace)
        self._stopping = True
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await _drain(self._cancels)  # last: what is in hand can be cancelled all the while

    # --- requests --------------------------------------------------------------------------------
    def _receiver(self, endpoint: _Endpoint) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            request_id = _request_id(message)
            if not reply_of(message):
                log.warning("request without an inbox", subject=message.subject, reply=message.reply or None)
            elif request_id in self._tasks:
                twice = Conflict(
                    "A request with this X-Request-Id is being served.", code="request_id_in_use"
                )
                await self._turn_away(endpoint, message, twice)
            elif len(self._tasks) >= self._most:
                busy = Unavailable("Too many requests at once. Try again.", code="busy", retry_after=1.0)
                await self._turn_away(endpoint, message, busy)
            else:
                task = asyncio.create_task(self._serve(endpoint, message), name=f"request {request_id}")
                self._tasks[request_id] = task
                task.add_done_callback(lambda _: self._tasks.pop(request_id, None))

        return receive

    async def _turn_away(self, endpoint: _Endpoint, message: Msg, error: ChorusError) -> None:
        """Refuse a request before any work; it counts as one all the same."""
        endpoint.listing.tally.add(time.perf_counter(), error.code)
        self._metrics.ended(endpoint.listing.name, error.code, 0.0)
        await self._refuse(message, error)

    async def _serve(self, endpoint: _Endpoint, message: Msg) -> None:
        """One request, from the queue to its last reply."""
        name, started = endpoint.listing.name, time.perf_counter()
        request = _request_id(message)
        error: ChorusError | None = None
        with (
            bind(endpoint=name, request=request),
            span(name, message.headers, SERVER, request=request) as work,
        ):
            try:
                async with self._slots:
                    self._check_deadline(message)
                    asked = decode(endpoint.question, message.data)
                    bind_contextvars(guild=getattr(asked, "guild", None))  # until this task's end
                    await endpoint.work(asked, message)
            except asyncio.CancelledError:
                error = self._why_cancelled()
            except ChorusError as raised:
                error = raised
            except NatsError as raised:
                log.warning("reply not sent", error=str(raised))
                error = ReaderGone("The reply could not be sent.")
            except Exception:
                log.exception("request failed")
                error = InternalError("Something went wrong on our side. The log has the details.")
            outcome = error.code if error else "ok"
            endpoint.listing.tally.add(started, error.code if error else None)
            self._metrics.ended(name, outcome, time.perf_counter() - started)
            work.set_attribute("chorus.outcome", outcome)
            if error and not isinstance(error, ReaderGone):
                log.info("request refused", code=error.code)
                await self._refuse(message, error)

    def _why_cancelled(self) -> ChorusError:
        """Cut off by our own stop, the same request may be tried elsewhere; by its asker, it is over."""
        if self._stopping:
            return Unavailable("The service stopped before it was done. Try again.", code="shutting_down")
        return Cancelled("Stopped, as asked.")

    def _check_deadline(self, message: Msg) -> None:
        """A request whose asker has given up meanwhile is not worth starting."""
        left = _time_left(message)
        if left is not None and left < 0:
            raise TimedOut("The request waited past its deadline.", code="deadline_passed")

    @asynccontextmanager
    async def _while_wanted(self, message: Msg) -> AsyncGenerator[None]:
        """Cancels what is done within at the deadline, or when the asker has gone. Raises why."""
        read = while_read(self._connection, reply_of(message)) if _gives_credit(message) else nullcontext()
        limit = asyncio.timeout(_time_left(message))
        try:
            async with read, limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimedOut("The answer was not ready by its deadline.", code="deadline_passed") from None

    async def _refuse(self, message: Msg, error: ChorusError) -> None:
        with suppress(NatsError):  # who asked may be gone, and the connection too
            await self._connection.publish(reply_of(message), headers=h.of_error(error))

    async def _on_cancel(self, message: Msg) -> None:
        task = self._tasks.get(message.subject.rsplit(".", 1)[-1])
        if task is not None and not task.cancelling():
            task.cancel()

    # --- discovery -------------------------------------------------------------------------------
    def _discoverer(self, verb: str) -> Callable[[Msg], Awaitable[None]]:
        async def discover(message: Msg) -> None:
            if inbox := reply_of(message):
                body = self._identity.answer(verb, [endpoint.listing for endpoint in self._endpoints])
                await self._connection.publish(inbox, json.dumps(body).encode())

        return discover


def _request_id(message: Msg) -> str:
    return (message.headers or {}).get(h.REQUEST_ID) or message.reply


def _gives_credit(message: Msg) -> bool:
    return (message.headers or {}).get(h.CREDIT) == "1"


def _time_left(message: Msg) -> float | None:
    """Seconds to the deadline, negative after it; None where there is none."""
    deadline = (message.headers or {}).get(h.DEADLINE, "")
    return int(deadline) / 1000 - time.time() if deadline.isdigit() else None


async def _drain(subscriptions: list[Subscription]) -> None:
    with suppress(NatsError):  # without a connection there is nothing left to drain
        await asyncio.gather(*(subscription.drain() for subscription in subscriptions))
