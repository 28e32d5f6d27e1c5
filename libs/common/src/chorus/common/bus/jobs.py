"""The worker's end of a work queue: one message at a time, kept alive while it is worked on.

    worker = JobWorker(connection, TRAIN, TRAINER_CONSUMER, handle, slots=1, ack_wait=60.0, grace=20.0)
    async with worker: ...

A message is fetched only when a slot is free, so that none waits here while another worker is idle.
While it is handled, the server hears from us every quarter of `ack_wait`. The handler says what becomes
of the message. On stop, nothing more is fetched, handlers see `delivery.stopping` and get `grace`
seconds to hand their job back, and what still runs then is cancelled and comes back after `ack_wait`.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout

from chorus.common.bus.connection import Connection
from chorus.common.errors import ChorusError, Unavailable
from chorus.common.telemetry.tracing import CONSUMER, span

FETCH_FOR = 5.0  # seconds; a fetch that spans a restart of the server is lost until its time is up
PAUSE = 1.0  # seconds after a fetch that failed at once
LONGEST_DELAY = 300.0  # seconds

log = structlog.get_logger()


@dataclass(frozen=True)
class Done:
    """The job has ended, one way or another: remove the message."""


@dataclass(frozen=True)
class HandBack:
    """Somebody should do it again, after `delay` seconds."""

    delay: float = 0.0


@dataclass(frozen=True)
class LeaveAlone:
    """Another worker has it now: even an acknowledgement of ours would be taken for theirs."""


Outcome = Done | HandBack | LeaveAlone


def delay_after(failures: int) -> float:
    """Seconds before it is tried again: twice as long after each failure, up to `LONGEST_DELAY`."""
    return min(
        LONGEST_DELAY, 2.0 ** min(failures, 9)
    )  # a float ends at 2 ** 1024, a queue's patience does not


class Delivery:
    """One message in hand."""

    def __init__(self, message: Msg, stopping: asyncio.Event) -> None:
        self._message = message
        self.stopping = stopping
        self.data = message.data
        self.subject = message.subject
        self.number = message.metadata.num_delivered
        """1 for the first delivery."""
        self.sequence = message.metadata.sequence.stream
        """The message's place in its stream."""
        self.message_id = (message.headers or {}).get("Nats-Msg-Id")
        """What its publisher called it, if it did."""

    async def settle(self, outcome: Outcome) -> None:
        """Tell the server what becomes of the message."""
        match outcome:
            case Done():
                await self._message.ack_sync(timeout=5)
            case HandBack(delay):
                await self._message.nak(delay=delay or None)
            case LeaveAlone():
                pass

    async def keep_alive(self) -> None:
        """Tell the server that it is being worked on."""
        await self._message.in_progress()


Handle = Callable[[Delivery], Awaitable[Outcome]]


class JobWorker:
    """Fetches and handles messages while its context is entered."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        consumer: str,
        handle: Handle,
        *,
        slots: int,
        ack_wait: float,
        grace: float,
        on_failed: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._consumer = consumer
        self._handle = handle
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._slots = asyncio.Semaphore(slots)
        self._beat = ack_wait / 4
        self._grace = grace
        self._on_failed = on_failed
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        js = self._connection.jetstream()
        try:
            await js.consumer_info(self._stream, self._consumer)
        except NatsError as error:
            raise Unavailable(
                f"The queue {self._stream}/{self._consumer} is missing ({error}). Run `chorus provision`.",
                code="not_provisioned",
            ) from None
        self._subscription = await js.pull_subscribe_bind(self._consumer, self._stream)
        self._fetching = asyncio.create_task(self._fetch_until_stopped(), name=f"fetch {self._stream}")
        self._fetching.add_done_callback(self._fetching_ended)
        return self

    def _fetching_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self._stopping.is_set():
            self._on_failed(f"fetching from {self._stream} failed: {task.exception()}")

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        self._fetching.cancel()
        await asyncio.wait([self._fetching])
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._grace)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with suppress(NatsError):  # before the connection is drained: a drain after a fetch hangs 30 s
            await self._subscription.unsubscribe()

    async def _fetch_until_stopped(self) -> None:
        while not self._stopping.is_set():  # nats-py may swallow a cancellation when it loses its server
            await self._slots.acquire()
            message = await self._fetch()
            if message is None:
                self._slots.release()
                continue
            task = asyncio.create_task(self._work(message), name=f"job {message.subject}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: self._slots.release())

    async def _fetch(self) -> Msg | None:
        """The next message, or None after a while without one."""
        try:
            fetching = self._subscription.fetch(1, timeout=FETCH_FOR)
            return (await self._connection.unless_refused(self._next, fetching))[0]
        except NatsTimeout:
            return None
        except NatsError as error:
            log.warning("fetch failed", stream=self._stream, error=str(error))
            await asyncio.sleep(PAUSE)
            return None

    async def _work(self, message: Msg) -> None:
        delivery = Delivery(message, self._stopping)
        with span("job", message.headers, CONSUMER):
            await self._handle_and_settle(delivery)

    async def _handle_and_settle(self, delivery: Delivery) -> None:
        try:
            async with self._kept_alive(delivery):
                outcome = await self._handle(delivery)
        except ChorusError as error:
            log.warning("job not handled", subject=delivery.subject, error=error.message, code=error.code)
            outcome = HandBack(delay_after(delivery.number))
        except Exception:
            log.exception("job handler failed", subject=delivery.subject)
            outcome = HandBack(delay_after(delivery.number))
        try:
            await delivery.settle(outcome)
        except (
            NatsError,
            ChorusError,
        ) as error:  # it will be delivered again, and its entry tells that it is done
            log.warning("job not settled", subject=delivery.subject, error=str(error))

    @asynccontextmanager
    async def _kept_alive(self, delivery: Delivery) -> AsyncGenerator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self._beat)
                with suppress(NatsError):  # during an outage; the claim fences what this may cost
                    await delivery.keep_alive()

        beating = asyncio.create_task(beat(), name=f"heartbeat {delivery.subject}")
        try:
            yield
        finally:
            beating.cancel()
