"""`chorus restore`: what a backup holds, back on servers that `chorus provision` has prepared.

Every sum is checked before anything is written. Then it goes the other way than a backup: objects first, then
the state that names them, the queue last, so that a worker finds all that its job needs. A stream and its
consumers are made as this version of Chorus has them here, and not as a file says. In the end everything is
read again.
"""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chorus.common.bus.connection import Connection
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.topology import DATASETS, MODELS, TRAIN, TRAINER_CONSUMER
from chorus.common.errors import Conflict, InternalError, NotFound
from chorus.common.objects import ObjectStore, sha256_of
from chorus.common.operations.access import (
    NO_SUCH_CONSUMER,
    NO_SUCH_STREAM,
    JetStreamRefused,
    jetstream,
    not_provisioned,
)
from chorus.common.operations.archive import COPIED, Manifest, ObjectCopy, Reader, StreamCopy, reading
from chorus.common.operations.backup import Tell
from chorus.common.operations.snapshots import copy_in, messages_in, remove

NAMING = (MODELS, DATASETS)
"""Buckets of state whose records name objects that have to be there."""


@dataclass(frozen=True)
class Restored:
    """What came of it."""

    manifest: Manifest
    gone: list[str]
    """Objects that a record names and the backup has not: they were deleted while it was made."""


async def restore(
    connection: Connection, store: ObjectStore, path: Path, tell: Tell, *, over: bool = False
) -> Restored:
    """Bring it all back, `over` what is there, if that is said.

    Needs the rights of the user provisioner. Raises `InvalidInput` for a file
    that is damaged, `Conflict` where something is there, `Unavailable` where nothing was provisioned.
    """
    with reading(path) as reader:
        await asyncio.to_thread(reader.check)
        manifest = reader.manifest
        tell(f"every sum is right: {len(manifest.streams)} streams, {len(manifest.objects)} objects")
        configs = {
            name: await _config(connection, f"STREAM.INFO.{name}", f"The stream {name}") for name in COPIED
        }
        queue = await _config(connection, f"CONSUMER.INFO.{TRAIN}.{TRAINER_CONSUMER}", "The queue's consumer")
        if not over:
            await _refuse_unless_empty(connection, store)
        for number, one in enumerate(manifest.objects):
            with reader.open(f"objects/{number}", one.size) as file:
                await store.put_from(one.bucket, one.key, file, one.size)
        tell("the objects are back")
        by_name = {stream.name: stream for stream in manifest.streams}
        for name in reversed(COPIED):
            await _stream(connection, reader, by_name[name], configs[name])
            await _consumers(connection, name, {TRAINER_CONSUMER: queue} if name == TRAIN else {})
        tell("the streams are back")
    await _check(store, manifest.objects)
    tell("every object was read again, and is what it was")
    return Restored(manifest, await _gone(connection, manifest))


async def _config(connection: Connection, info: str, what: str) -> dict[str, Any]:
    """A stream's or a consumer's configuration, as `chorus provision` has made it here."""
    try:
        config: dict[str, Any] = (await jetstream(connection, info))["config"]
    except JetStreamRefused as refused:
        if refused.number not in {NO_SUCH_STREAM, NO_SUCH_CONSUMER}:
            raise
        raise not_provisioned(what) from None
    return config


async def _refuse_unless_empty(connection: Connection, store: ObjectStore) -> None:
    try:
        full = [bucket for bucket in BUCKETS if await store.any_in(bucket)]
    except NotFound:
        raise not_provisioned("A bucket") from None
    full += [name for name in COPIED if await messages_in(connection, name)]
    if full:
        raise Conflict(
            f"There is something already, in {', '.join(full)}: nothing was changed. With --over, all "
            "streams become those of the backup, and its objects are put beside what is there.",
            code="not_empty",
            param="over",
        )


async def _stream(connection: Connection, reader: Reader, stream: StreamCopy, config: dict[str, Any]) -> None:
    """One stream in place of the one that is there. Raises `InternalError` if it is another afterwards."""
    state = {"messages": stream.messages, "first_seq": stream.first_seq, "last_seq": stream.last_seq}
    await remove(connection, stream.name)
    with reader.open(stream.member, stream.size) as file:
        made = await copy_in(connection, config, state, file)
    last: int = made["last_seq"]
    if last < stream.last_seq:  # services may have written on already
        raise InternalError(
            f"The stream {stream.name} is not what was copied: it ends with message {last} and not "
            f"{stream.last_seq}. Restore again with --over.",
            code="restore_differs",
        )


async def _consumers(connection: Connection, stream: str, ours: dict[str, dict[str, Any]]) -> None:
    """Leave none of the copy's consumers but `ours`, as they were here: another could send to anybody."""
    there = await jetstream(connection, f"CONSUMER.NAMES.{stream}")
    for name in there["consumers"] or ():
        if name not in ours:
            await jetstream(connection, f"CONSUMER.DELETE.{stream}.{name}")
    for name, config in ours.items():
        made = {"stream_name": stream, "config": config}
        try:
            await jetstream(connection, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", made)
        except JetStreamRefused:  # of a kind that cannot become ours
            await jetstream(connection, f"CONSUMER.DELETE.{stream}.{name}")
            await jetstream(connection, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", made)


async def _check(store: ObjectStore, objects: list[ObjectCopy]) -> None:
    """Read every object again. Raises `InternalError` if one is another."""
    for one in objects:
        if await store.read_by(one.bucket, one.key, sha256_of) != one.sha256:
            raise InternalError(
                f"The object {one.bucket}/{one.key} is not what was stored. Restore again with --over.",
                code="restore_differs",
            )


async def _gone(connection: Connection, manifest: Manifest) -> list[str]:
    """Objects that the records of models and datasets name and that the backup has not."""
    there = {(one.bucket, one.key, one.sha256) for one in manifest.objects}
    return [
        f"{named[0]}/{named[1]}"
        for bucket in NAMING
        for record in await _records(connection, bucket)
        for named in refs_in(record)
        if named not in there
    ]


async def _records(connection: Connection, bucket: str) -> list[Any]:
    """The newest value under each key."""
    stream, subjects = f"KV_{bucket}", {"subjects_filter": f"$KV.{bucket}.>"}
    found = (await jetstream(connection, f"STREAM.INFO.{stream}", subjects))["state"].get("subjects", {})
    return [await _record(connection, stream, subject) for subject in found]


async def _record(connection: Connection, stream: str, subject: str) -> Any:
    answer = await jetstream(connection, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
    data = base64.b64decode(answer["message"].get("data", ""))
    return json.loads(data) if data else None


def refs_in(record: Any) -> Iterator[tuple[str, str, str]]:
    """Bucket, key and sha256 of every object that a record names, however deep."""
    if isinstance(record, dict):
        if {"bucket", "key", "sha256"} <= record.keys():
            yield record["bucket"], record["key"], record["sha256"]
        else:
            for value in record.values():
                yield from refs_in(value)
    elif isinstance(record, list):
        for value in record:
            yield from refs_in(value)
