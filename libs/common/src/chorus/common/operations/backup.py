"""`chorus backup`: the queue, all state and all objects in one file, while everything runs.

What refers is copied before what it refers to: first the queue, whose messages name jobs; then state, whose
records name objects; the objects last. They are immutable and are stored before anything names them, so that
whatever is named in the copy was there when it was copied. The other way round, a model made in between would
be named and missing. Each stream is of one moment; all of them together are not.

An object that is deleted meanwhile is not in the copy. Nor is what is true for a moment only
(`archive.PASSING`).
"""

import asyncio
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from chorus.common.bus.connection import Connection
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, NotFound
from chorus.common.objects import ObjectStore
from chorus.common.operations.access import NO_SUCH_STREAM, JetStreamRefused, not_provisioned
from chorus.common.operations.archive import COPIED, Key, Manifest, ObjectCopy, StreamCopy, Writer, writing
from chorus.common.operations.files import nameless, there_already
from chorus.common.operations.snapshots import copy_out

Tell = Callable[[str], None]
"""Hears how far it is."""

_KEY: TypeAdapter[str] = TypeAdapter(Key)


async def backup(
    connection: Connection, store: ObjectStore, place: Path, tell: Tell
) -> tuple[Path, Manifest]:
    """Write a backup to `place`, a new file, or a folder that gets one named after the time.

    Needs the rights of the user operator. Raises `InvalidInput` if the file is there already, and
    `Unavailable` where it cannot be written, where something does not answer, or nothing was provisioned.
    """
    path = _file_at(place)
    made_at, began, server = now(), time.monotonic(), connection.connected_server_version
    with writing(path) as writer:
        streams = [await _stream(connection, writer, name, path.parent) for name in COPIED]
        tell(f"{len(streams)} streams, {sum(stream.messages for stream in streams)} messages")
        objects = await _objects(store, writer, tell)
        manifest = Manifest(
            made_at=made_at,
            chorus=version("chorus-common"),
            nats_server=f"{server.major}.{server.minor}.{server.patch}",
            seconds=round(time.monotonic() - began, 3),
            streams=streams,
            objects=objects,
        )
        await asyncio.to_thread(writer.close, manifest)
    return path, manifest


def _file_at(place: Path) -> Path:
    path = place / f"chorus-{now():%Y%m%dT%H%M%SZ}.tar" if place.is_dir() else place
    if path.exists():
        raise there_already(path)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"{path.parent} cannot be written.", code="not_writable", param="file")
    return path


async def _stream(connection: Connection, writer: Writer, name: str, folder: Path) -> StreamCopy:
    """One stream; its size is known when it has come, so that it waits in a file without a name."""
    with nameless(folder) as file:
        try:
            state = await copy_out(connection, name, file)
        except JetStreamRefused as refused:
            if refused.number != NO_SUCH_STREAM:
                raise
            raise not_provisioned(f"The stream {name}") from None
        size = file.tell()
        file.seek(0)
        sha256 = await asyncio.to_thread(writer.add, f"streams/{name}", file, size)
    return StreamCopy(
        name=name,
        size=size,
        sha256=sha256,
        messages=state["messages"],
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
    )


async def _objects(store: ObjectStore, writer: Writer, tell: Tell) -> list[ObjectCopy]:
    """Every object, one after the other, as it comes."""
    copied: list[ObjectCopy] = []
    for bucket in BUCKETS:
        found = await store.list(bucket, "")
        for key, size in ((one.key, one.size) for one in found if _is_ours(one.key)):
            member = f"objects/{len(copied)}"
            try:
                sha256 = await store.read_by(
                    bucket, key, lambda file, name=member, size=size: writer.add(name, file, size)
                )
            except NotFound:  # deleted since it was listed
                continue
            copied.append(ObjectCopy(bucket=bucket, key=key, size=size, sha256=sha256))
        tell(f"{bucket}: {len(found)} objects, {sum(one.size for one in found) / 1e6:.1f} MB")
    return copied


def _is_ours(key: str) -> bool:
    """Whether Chorus can have written it."""
    try:
        _KEY.validate_python(key)
    except ValidationError:
        return False
    return True
