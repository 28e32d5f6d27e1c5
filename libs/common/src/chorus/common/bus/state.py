"""Key-value buckets of typed records: read, create, compare-and-set, and hear of changes.

A record is one line of JSON; its revision is what a compare-and-set compares. Changes are heard
through what the bucket republishes (`contracts.topology`), and everything is read anew after a
reconnection and every minute, because a core message can be lost. A record that nobody can read is
passed over where many are read, so that one guild's does not stop the others'.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel

from chorus.common.bus.connection import Connection
from chorus.common.contracts.wire import decode, encode
from chorus.common.errors import ChorusError, Conflict, InvalidInput, NotFound, Unavailable

REREAD_EVERY = 60.0  # seconds between full reads while following changes
CAS_ATTEMPTS = 10

log = structlog.get_logger()

Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class Entry(Generic[Record]):
    """A record as it was stored, with the revision that a compare-and-set needs."""

    key: str
    value: Record
    revision: int


class Bucket(Generic[Record]):
    """One bucket. Open it with `open_bucket`."""

    def __init__(self, connection: Connection, kv: KeyValue, name: str, record: type[Record]) -> None:
        self._connection = connection
        self._js = connection.jetstream()
        self._kv = kv
        self._name = name
        self._record = record

    async def get(self, key: str) -> Entry[Record] | None:
        """The record under `key`, if there is one. Raises `InvalidInput` if it cannot be read."""
        try:
            entry = await self._kv.get(key)
        except KeyNotFoundError:
            return None
        except NatsError as error:
            raise self._failed(error) from None
        return Entry(key, decode(self._record, entry.value or b""), entry.revision or 0)

    async def _get_readable(self, key: str) -> Entry[Record] | None:
        try:
            return await self.get(key)
        except InvalidInput as error:
            self._pass_over(key, error)
            return None

    def _pass_over(self, key: str, error: InvalidInput) -> None:
        log.warning("record cannot be read", bucket=self._name, key=key, code=error.code)

    async def create(self, key: str, value: Record) -> Entry[Record]:
        """Store a first record under `key`. Raises `Conflict` if there is one already."""
        try:
            return Entry(key, value, await self._kv.create(key, encode(value)))
        except (KeyWrongLastSequenceError, KeyNotFoundError):  # or it ran out while nats-py looked at it
            raise Conflict(f"{self._name} already has {key}.", code="already_exists") from None
        except NatsError as error:
            raise self._failed(error) from None

    async def update(self, old: Entry[Record], value: Record) -> Entry[Record]:
        """Replace exactly the record that was read. Raises `Conflict` if it has changed since."""
        try:
            return Entry(old.key, value, await self._kv.update(old.key, encode(value), old.revision))
        except KeyWrongLastSequenceError:
            raise Conflict(
                f"{self._name} {old.key} has changed meanwhile.", code="changed_meanwhile"
            ) from None
        except NatsError as error:
            raise self._failed(error) from None

    async def change(
        self, key: str, changed: Callable[[Record], Record], *, initial: Record | None = None
    ) -> Entry[Record]:
        """Read, change, compare-and-set, and again until it holds; `changed` may run several times.

        Without a record, `initial` is what is changed; without that, raises `NotFound`.
        """
        for _ in range(CAS_ATTEMPTS):
            entry = await self.get(key)
            old = entry.value if entry else initial
            if old is None:
                raise NotFound(f"{self._name} has no {key}.")
            new = changed(old)
            if entry is not None and new == entry.value:
                return entry
            with suppress(Conflict):
                return await (self.update(entry, new) if entry else self.create(key, new))
        raise Conflict(f"{self._name} {key} changes too often to be changed.", code="changed_meanwhile")

    async def delete(self, key: str) -> None:
        """Leave a mark in its place that it is gone: of a bucket without history, the record goes at once."""
        try:
            await self._kv.delete(key)
        except NatsError as error:
            raise self._failed(error) from None

    async def keys(self, prefix: str = "", rest: str = ">") -> list[str]:
        """All keys that start with `prefix` (whole parts: `local.`) and go on with `rest`.

        In both, `*` stands for one part; `>` at the end for all others.
        """
        start = f"$KV.{self._name}."
        try:
            # nats-py's own `keys` makes a consumer, which no service may.
            info = await self._js.stream_info(f"KV_{self._name}", subjects_filter=f"{start}{prefix}{rest}")
        except NatsError as error:
            raise self._failed(error) from None
        return sorted(subject.removeprefix(start) for subject in info.state.subjects or {})

    async def entries(self, prefix: str = "", rest: str = ">") -> list[Entry[Record]]:
        """All records with such keys, as `keys` has it, but for those that cannot be read."""
        entries = await asyncio.gather(*(self._get_readable(key) for key in await self.keys(prefix, rest)))
        return [entry for entry in entries if entry is not None]

    async def follow(self, prefix: str = "") -> AsyncIterator[Entry[Record]]:
        """Every record there is, then each as it changes, for ever; the same revision may come twice.

        Those that cannot be read are left out.
        """
        news: asyncio.Queue[Entry[Record]] = asyncio.Queue()

        async def hear(message: Msg) -> None:
            if message.data:
                revision = int((message.headers or {}).get("Nats-Sequence", 0))
                key = message.subject.removeprefix(f"changed.{self._name}.")
                try:
                    news.put_nowait(Entry(key, decode(self._record, message.data), revision))
                except InvalidInput as error:
                    self._pass_over(key, error)

        subscription = await self._connection.listen(f"changed.{self._name}.{prefix}>", cb=hear)
        try:
            while True:
                for entry in await self._entries_patiently(prefix):
                    yield entry
                async for entry in _until_quiet_or_late(self._connection, news):
                    yield entry
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def _entries_patiently(self, prefix: str) -> list[Entry[Record]]:
        """All records, however long the server is away."""
        while True:
            try:
                return await self.entries(prefix)
            except ChorusError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(1.0)

    def _failed(self, error: NatsError) -> ChorusError:
        return Unavailable(
            f"The state store did not answer ({str(error) or type(error).__name__}). Try again.",
            code="state_unavailable",
        )


async def _until_quiet_or_late(
    connection: Connection, news: asyncio.Queue[Entry[Record]]
) -> AsyncIterator[Entry[Record]]:
    """News as it comes, until it is time to read everything anew."""
    reconnects = connection.stats["reconnects"]
    loop = asyncio.get_running_loop()
    reread_at = loop.time() + REREAD_EVERY
    while loop.time() < reread_at and connection.stats["reconnects"] == reconnects:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                entry = await news.get()
            yield entry


async def open_bucket(connection: Connection, name: str, record: type[Record]) -> Bucket[Record]:
    """Open a bucket that `chorus provision` has made. Raises `Unavailable` when it is not there."""
    try:
        kv = await connection.jetstream().key_value(name)
    except NotFoundError:
        raise Unavailable(
            f"The bucket {name!r} is missing. Run `chorus provision`.", code="not_provisioned"
        ) from None
    except NatsError as error:
        raise Unavailable(f"JetStream did not answer ({error}).", code="state_unavailable") from None
    return Bucket(connection, kv, name, record)
