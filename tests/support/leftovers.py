"""Where a phrase still is: in every object of S3, and in every message of every stream and bucket of NATS."""

import io
import zipfile
from collections.abc import Iterator

from nats.js.errors import NotFoundError

from chorus.common.bus.connection import Connection
from chorus.common.contracts.storage import BUCKETS
from chorus.common.contracts.topology import KV_BUCKETS, STREAMS
from chorus.common.objects import ObjectStore


async def places_of(phrases: list[str], store: ObjectStore, operator: Connection) -> list[str]:
    """Every place that holds one of the phrases, in any letter case; ZIPs are looked into."""
    wanted = [phrase.lower().encode() for phrase in phrases]
    return [
        place
        async for place, data in _everything(store, operator)
        if any(phrase in data.lower() for phrase in wanted)
    ]


async def _everything(store: ObjectStore, operator: Connection):
    for bucket in BUCKETS:
        for found in await store.list(bucket, ""):
            response = store._client.get_object(bucket, found.key)
            try:
                data = response.read()
            finally:
                response.close()
                response.release_conn()
            for part in _unpacked(data):
                yield f"{bucket}/{found.key}", part
    js = operator.jetstream()
    for config in (*STREAMS, *KV_BUCKETS):
        assert config.name
        state = (await js.stream_info(config.name)).state
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await js.get_msg(config.name, sequence)
            except NotFoundError:  # deleted, or replaced by a newer value
                continue
            yield f"{config.name} {message.subject}", message.data or b""


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The bytes, and what they hold where they are a ZIP."""
    yield data
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield from _unpacked(packed.read(name))
