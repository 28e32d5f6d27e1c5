"""What was harvested from channels: parts in the bucket `files`, listed in records among the settings."""

import asyncio
import io
import zipfile

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.consent import BY_NAME
from chorus.common.contracts.mining import Mined, mining_key, mining_prefix
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound
from chorus.common.objects import ObjectStore


class Harvests:
    """All guilds' harvests. The gateway makes them (`contracts.mining`); here they are only deleted."""

    def __init__(self, records: Bucket[Mined], store: ObjectStore) -> None:
        self._records = records
        self._store = store

    async def uploads(self, guild: str) -> set[str]:
        """Keys of all parts, in the bucket `files`."""
        return {part.source.file.key for mined in await self._of(guild) for part in mined.parts}

    async def forget(self, guild: str, person: str) -> int:
        """Empty each harvest that has this person's words; its channels are read anew, without them.

        Every other one is touched, so that what is being read now does not go in. Returns how many objects
        went. Harvests have ids: who is known by a name alone is in none.
        """
        gone: set[str] = set()

        def emptied(old: Mined) -> Mined:
            gone.update(part.source.file.key for part in old.parts)
            return touched(old.emptied())

        def touched(old: Mined) -> Mined:
            return old.model_copy(update={"touched_at": now()})

        for mined in await self._of(guild):
            has = not person.startswith(BY_NAME) and await self._has(mined, person.encode())
            await self._records.change(mining_key(guild, mined.name), emptied if has else touched)
        return await self._store.delete(storage.FILES, gone)

    async def _of(self, guild: str) -> list[Mined]:
        return [entry.value for entry in await self._records.entries(mining_prefix(guild))]

    async def _has(self, mined: Mined, person: bytes) -> bool:
        """Whether the id is anywhere in what was read, or a part of it is gone, with whoever was in it."""
        for part in mined.parts:
            try:
                data = await self._store.get(part.source.file)
            except NotFound:
                return True
            if await asyncio.to_thread(_is_in, data, person):
                return True
        return False


def _is_in(part: bytes, person: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(part)) as packed:
        return any(person in packed.read(name) for name in packed.namelist())
