"""What people hand over, on its way: services get it by reference, out of S3."""

import hashlib

from chorus.common.contracts.storage import FILES, ObjectRef
from chorus.common.objects import ObjectStore


async def uploaded(store: ObjectStore, guild: str, data: bytes) -> ObjectRef:
    """Store a guild's file under its own hash: the same bytes again are stored once."""
    return await store.put(FILES, f"{guild}/{hashlib.sha256(data).hexdigest()}", data)
