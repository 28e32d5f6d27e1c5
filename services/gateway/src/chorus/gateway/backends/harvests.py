"""What was mined: parts in S3, and in the bucket `settings` which parts there are and how far was read."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.datasets import Source
from chorus.common.contracts.mining import Mined, MinedPart, mining_key, mining_prefix
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
        entry = await self._entry(Mined(guild=guild, name=name, since=since))
        mined = entry.value
        if since not in (None, mined.since):
            anew, mined = True, mined.model_copy(update={"since": since})
        if anew or not await self._is_whole(mined):
            mined = mined.emptied()
        return BusHarvest(self._records, self._store, entry, mined)

    async def _entry(self, first: Mined) -> Entry[Mined]:
        """The record, which is there before anything is read: who is forgotten meanwhile has it changed."""
        key = mining_key(first.guild, first.name)
        if (entry := await self._records.get(key)) is not None:
            return entry
        try:
            return await self._records.create(key, first)
        except Conflict:
            raise _mined_meanwhile(first) from None

    async def _is_whole(self, mined: Mined) -> bool:
        found = await asyncio.gather(*(self._store.list(FILES, key) for key in _keys(mined)))
        return _keys(mined) <= {stored.key for there in found for stored in there}


class BusHarvest:
    """`history.Harvest`."""

    def __init__(self, records: Bucket[Mined], store: ObjectStore, entry: Entry[Mined], mined: Mined) -> None:
        self._records = records
        self._store = store
        self._entry = entry
        self._mined = mined
        self._uploaded: set[str] = set()

    def after(self, channel: int) -> int:
        """The last message that was read, or the first moment that is wanted."""
        return int(self._mined.cursors.get(str(channel), 0)) or _before(self._mined.since)

    @property
    def sources(self) -> list[Source]:
        """All parts."""
        return [part.source for part in self._mined.parts]

    async def keep(
        self,
        said: Sequence[tuple[Channel, list[Said]]],
        cursors: Mapping[int, int],
        may_be_kept: Callable[[], Awaitable[bool]],
    ) -> None:
        """The part, then the record that names it.

        Whoever is forgotten has it said in the ledger first, then every record of the guild is written anew.
        So either the ledger says so when it is asked here, or the compare-and-set fails, or the part is
        found in the record.
        """
        self._uploaded.clear()
        read = {str(channel): str(message) for channel, message in cursors.items()}
        try:
            parts = await self._few([*self._mined.parts, *await self._part(said)])
            if not await may_be_kept():
                raise _mined_meanwhile(self._mined)
            mined = self._mined.model_copy(
                update={"parts": parts, "cursors": {**self._mined.cursors, **read}}
            )
            self._entry = await self._records.update(self._entry, mined)
        except (Conflict, NotFound):  # not found: a part that was to be merged is deleted already
            await self._take_back()
            raise _mined_meanwhile(self._mined) from None
        self._mined = mined

    async def _part(self, said: Sequence[tuple[Channel, list[Said]]]) -> list[MinedPart]:
        count = sum(len(messages) for _, messages in said)
        if not count:
            return []
        return [await self._stored(await asyncio.to_thread(packed, self._mined.guild, said), count)]

    async def _stored(self, data: bytes, messages: int) -> MinedPart:
        file = await self._store.put_by_hash(FILES, self._mined.guild, data)
        self._uploaded.add(file.key)
        return MinedPart(source=Source(file=file, filename=FILENAME), messages=messages)

    async def _few(self, parts: list[MinedPart]) -> list[MinedPart]:
        """Ten parts with as many digits become one: a million messages are some thirty parts.

        The ten stay for now, since datasets may name them as their sources. What no dataset and no record
        names, the trainer clears within the hour.
        """
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

    async def _take_back(self) -> None:
        """Delete what was uploaded in vain: the same words may be another record's, all else is nobody's."""
        entries = await self._records.entries(mining_prefix(self._mined.guild))
        needed = {key for entry in entries for key in _keys(entry.value)}
        await self._store.delete(FILES, self._uploaded - needed)


def _keys(mined: Mined) -> set[str]:
    return {part.source.file.key for part in mined.parts}


def _mined_meanwhile(mined: Mined) -> Conflict:
    return Conflict(
        f"Meanwhile somebody else mined the dataset {mined.name}, opted out, or had words deleted: nothing "
        "was kept of what was read last. Run `!mine` again.",
        code="mined_meanwhile",
    )


def _before(since: datetime | None) -> int:
    """The greatest id that is older than a moment; 0 is older than all."""
    if since is None:
        return 0
    return max(0, (int(since.timestamp() * 1000) - DISCORD_EPOCH << 22) - 1)
