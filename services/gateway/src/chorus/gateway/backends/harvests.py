"""What was mined: parts in S3, and in the bucket `settings` which parts there are and how far was read."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.datasets import Source
from chorus.common.contracts.mining import Mined, MinedPart, mining_key
from chorus.common.contracts.storage import FILES
from chorus.common.errors import Conflict, NotFound
from chorus.common.objects import ObjectStore
from chorus.gateway.backends.export import merged, packed
from chorus.gateway.commands.history import Channel, Said

FILENAME = "mined.zip"
DISCORD_EPOCH = 1_420_070_400_000  # milliseconds; Discord's ids begin with the time since then

TEN = 10
"""Parts of a kind that are merged into one, so that there are few of them however often one mines."""
MERGED_AT_MOST = 200_000  # messages; some 140 MB of JSON, which has to fit into memory


class BusHarvests:
    """`history.Harvests`."""

    def __init__(self, records: Bucket[Mined], store: ObjectStore) -> None:
        self._records = records
        self._store = store

    async def open(self, guild: str, name: str, *, since: datetime | None, anew: bool) -> "BusHarvest":
        """What there is, if all of it is still there: somebody may have been forgotten since."""
        entry = await self._records.get(mining_key(guild, name))
        mined = entry.value if entry else Mined(guild=guild, name=name, since=since)
        if since not in (None, mined.since):
            anew, mined = True, mined.model_copy(update={"since": since})
        if anew or not await self._is_whole(mined):
            mined = mined.emptied()
        return BusHarvest(self._records, self._store, entry, mined)

    async def _is_whole(self, mined: Mined) -> bool:
        found = await asyncio.gather(*(self._store.list(FILES, key) for key in _keys(mined)))
        return _keys(mined) <= {stored.key for there in found for stored in there}


class BusHarvest:
    """`history.Harvest`."""

    def __init__(
        self, records: Bucket[Mined], store: ObjectStore, entry: Entry[Mined] | None, mined: Mined
    ) -> None:
        self._records = records
        self._store = store
        self._entry = entry
        self._mined = mined

    def after(self, channel: int) -> int:
        """The last message that was read, or the first moment that is wanted."""
        return int(self._mined.cursors.get(str(channel), 0)) or _before(self._mined.since)

    @property
    def sources(self) -> list[Source]:
        """All parts."""
        return [part.source for part in self._mined.parts]

    async def keep(self, said: Sequence[tuple[Channel, list[Said]]], cursors: Mapping[int, int]) -> None:
        """The part, then the record that names it."""
        parts = list(self._mined.parts)
        if count := sum(len(messages) for _, messages in said):
            data = await asyncio.to_thread(packed, self._mined.guild, said)
            parts.append(await self._stored(data, count))
        try:
            parts = await self._few(parts)
        except NotFound:  # somebody is being forgotten
            raise _mined_meanwhile(self._mined) from None
        read = {str(channel): str(message) for channel, message in cursors.items()}
        await self._write(
            self._mined.model_copy(update={"parts": parts, "cursors": {**self._mined.cursors, **read}})
        )

    async def _stored(self, data: bytes, messages: int) -> MinedPart:
        file = await self._store.put_by_hash(FILES, self._mined.guild, data)
        return MinedPart(source=Source(file=file, filename=FILENAME), messages=messages)

    async def _few(self, parts: list[MinedPart]) -> list[MinedPart]:
        """Ten parts with as many digits become one: a million messages are some thirty parts."""
        kinds: defaultdict[int, list[MinedPart]] = defaultdict(list)
        for part in parts:
            kinds[len(str(part.messages))].append(part)
        for kind in kinds.values():
            messages = sum(part.messages for part in kind)
            if len(kind) >= TEN and messages <= MERGED_AT_MOST:
                data = [await self._store.get(part.source.file) for part in kind]
                one = await self._stored(await asyncio.to_thread(merged, data), messages)
                return await self._few([*(part for part in parts if part not in kind), one])
        return parts

    async def _write(self, mined: Mined) -> None:
        """Compare and set. What lost the race is deleted: no record names it, so nobody else would."""
        key = mining_key(mined.guild, mined.name)
        try:
            self._entry = await (
                self._records.update(self._entry, mined) if self._entry else self._records.create(key, mined)
            )
        except Conflict:
            now = await self._records.get(key)
            needed = _keys(self._mined) | (_keys(now.value) if now else set())
            await self._store.delete(FILES, _keys(mined) - needed)
            raise _mined_meanwhile(mined) from None
        self._mined = mined


def _keys(mined: Mined) -> set[str]:
    return {part.source.file.key for part in mined.parts}


def _mined_meanwhile(mined: Mined) -> Conflict:
    return Conflict(
        f"Somebody else mined {mined.name}, or had words deleted from it, meanwhile. Mine again.",
        code="mined_meanwhile",
    )


def _before(since: datetime | None) -> int:
    """The greatest id that is older than a moment; 0 is older than all."""
    if since is None:
        return 0
    return max(0, (int(since.timestamp() * 1000) - DISCORD_EPOCH << 22) - 1)
