"""What runs, what waits and what is kept, as the services, JetStream and S3 tell of it just now."""

import asyncio
import json
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

from nats.aio.msg import Msg
from pydantic import Field, NonNegativeFloat, NonNegativeInt, ValidationError

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.generation import SERVED, ListServed, Served
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.topology import DLQ, KV_BUCKETS, STREAMS, TRAIN, TRAINER_CONSUMER
from chorus.common.contracts.wire import Part, Time, Wire, now
from chorus.common.errors import ChorusError
from chorus.common.objects import ObjectStore
from chorus.common.operations.access import jetstream

SERVICES = ("trainer", "inference", "speech")
"""That answer ADR-32's questions. The gateway asks, and answers nobody."""

ALL_ANSWERED = 0.5  # seconds without a further answer
WITHIN = 5.0  # seconds for each part

T = TypeVar("T")


class Endpoint(Part):
    """What one endpoint has done; times in nanoseconds, as ADR-32 has them."""

    name: str
    num_requests: NonNegativeInt = 0
    num_errors: NonNegativeInt = 0
    last_error: str = ""
    processing_time: NonNegativeInt = 0


class Instance(Part):
    """One process of a service, in its own words."""

    name: str
    id: str
    version: str
    started: Time
    endpoints: list[Endpoint] = Field(default=[])

    @property
    def requests(self) -> int:
        """Of all endpoints."""
        return sum(endpoint.num_requests for endpoint in self.endpoints)

    @property
    def errors(self) -> int:
        """Of all endpoints."""
        return sum(endpoint.num_errors for endpoint in self.endpoints)

    @property
    def seconds(self) -> float | None:
        """That a request took on the average, waiting included; None without requests."""
        spent = sum(endpoint.processing_time for endpoint in self.endpoints)
        return spent / self.requests / 1e9 if self.requests else None


class Queue(Part):
    """The work queue of trainings."""

    waiting: NonNegativeInt
    in_hand: NonNegativeInt
    """Delivered to a worker, and not yet ended."""
    dead_letters: NonNegativeInt
    paused_for: NonNegativeFloat | None = None
    """Seconds for which nothing is handed out; None while it is."""


class Kept(Part):
    """Something that is stored."""

    name: str
    items: NonNegativeInt
    bytes: NonNegativeInt
    limit: NonNegativeInt | None = None
    """Bytes at most; None without a limit of its own."""


class Status(Wire):
    """All of it. A part that did not answer is None, and `troubles` says why."""

    at: Time
    instances: list[Instance] | None
    queue: Queue | None
    served: Served | None
    streams: list[Kept] | None
    buckets: list[Kept] | None
    troubles: list[str] = Field(default=[])

    @property
    def missing(self) -> list[str]:
        """Services of which no process answers."""
        there = {instance.name for instance in self.instances or []}
        return [name for name in SERVICES if name not in there]


async def status(connection: Connection, store: ObjectStore) -> Status:
    """Ask everybody, side by side; each has a few seconds."""
    troubles: list[str] = []

    async def told(what: str, asked: Awaitable[T]) -> T | None:
        try:
            async with asyncio.timeout(WITHIN):
                return await asked
        except TimeoutError:
            troubles.append(f"{what}: no answer within {WITHIN:.0f} s.")
        except ChorusError as error:
            troubles.append(f"{what}: {error.message}")
        return None

    instances, queue, served, streams, buckets = await asyncio.gather(
        told("services", connection.unless_refused("$SRV.STATS", instances_of(connection))),
        told("queue", queue_of(connection)),
        told("models", ask(connection, SERVED, ListServed(), Served, within=WITHIN)),
        told("streams", streams_of(connection)),
        told("buckets", buckets_of(store)),
    )
    return Status(
        at=now(),
        instances=instances,
        queue=queue,
        served=served,
        streams=streams,
        buckets=buckets,
        troubles=troubles,
    )


async def instances_of(connection: Connection) -> list[Instance]:
    """Every process that answers `$SRV.STATS`, by name and age. Nobody knows how many will."""
    answers: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await connection.listen(connection.new_inbox(), cb=answers.put)
    found: list[Instance] = []
    try:
        await connection.publish("$SRV.STATS", reply=subscription.subject)
        with suppress(TimeoutError):
            while True:
                message = await asyncio.wait_for(answers.get(), ALL_ANSWERED)
                with suppress(ValidationError):  # another program's, or nobody's: `503`, without a body
                    found.append(Instance.model_validate_json(message.data))
    finally:
        await subscription.unsubscribe()
    return sorted(found, key=lambda one: (one.name, one.started))


async def queue_of(connection: Connection) -> Queue:
    """As the consumer has it."""
    consumer = await jetstream(connection, f"CONSUMER.INFO.{TRAIN}.{TRAINER_CONSUMER}")
    letters = await jetstream(connection, f"STREAM.INFO.{DLQ}")
    return Queue(
        waiting=consumer["num_pending"],
        in_hand=consumer["num_ack_pending"],
        dead_letters=letters["state"]["messages"],
        paused_for=consumer["pause_remaining"] / 1e9 if consumer.get("paused") else None,
    )


async def streams_of(connection: Connection) -> list[Kept]:
    """Each stream and each bucket of state, with what lies in it."""
    names = [str(config.name) for config in (*STREAMS, *KV_BUCKETS)]
    answers = await asyncio.gather(*(jetstream(connection, f"STREAM.INFO.{name}") for name in names))
    return [_kept(name, answer) for name, answer in zip(names, answers, strict=True)]


def _kept(name: str, answer: dict[str, Any]) -> Kept:
    state, most = answer["state"], answer["config"].get("max_bytes", -1)
    return Kept(name=name, items=state["messages"], bytes=state["bytes"], limit=most if most > 0 else None)


async def buckets_of(store: ObjectStore) -> list[Kept]:
    """Objects in S3. They are listed for it, which takes a while where there are many."""
    listings = await asyncio.gather(*(store.list(name, "") for name in BUCKETS))
    return [
        Kept(name=name, items=len(found), bytes=sum(one.size for one in found))
        for name, found in zip(BUCKETS, listings, strict=True)
    ]


def as_json(status: Status) -> str:
    """For programs: the same names, times in RFC 3339, sizes in bytes."""
    return json.dumps(status.model_dump(mode="json"), ensure_ascii=False, indent=2)
