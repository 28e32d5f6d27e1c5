"""Dataset versions: their entries in KV, their bytes in S3.

The bytes are there before the entry names them, and the entry is changed before they are deleted: who
finds a version finds all of it.
"""

import re
from collections.abc import Callable
from datetime import datetime

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.datasets import VERSIONS_KEPT, BuildOptions, Dataset, DatasetRecord, dataset_key
from chorus.common.contracts.names import NAME
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES, encode
from chorus.common.errors import Conflict, InvalidInput, NotFound, in_short
from chorus.common.objects import ObjectStore

ARCHIVES = "archives"
"""Folder in the bucket `files`: `<guild>/archives/<name>@<version>/…`."""

ENTRY_BYTES = MAX_MESSAGE_BYTES // 2  # of one name's versions together
NAMED = 8  # datasets that are listed where one was not found


class Library:
    """All guilds' datasets."""

    def __init__(self, records: Bucket[DatasetRecord], store: ObjectStore) -> None:
        self._records = records
        self._store = store

    async def find(self, guild: str, dataset: str) -> Dataset:
        """The version that `name` (its newest) or `name@3` means. Raises `NotFound` with all names."""
        match = re.fullmatch(rf"({NAME})(?:@([0-9]{{1,6}}))?", dataset)
        if match is None:
            raise InvalidInput(
                f"{in_short(dataset)!r} is not a dataset's name. Write `name` or `name@3`.",
                code="invalid_dataset_name",
                param="dataset",
            )
        found = await self._found(guild, match[1], int(match[2]) if match[2] else None)
        if found is None:
            raise await self._unknown(guild, dataset)
        if found.withdrawn:
            raise NotFound(
                f"{found.id} was withdrawn: {found.withdrawn}.", code="dataset_withdrawn", param="dataset"
            )
        return found

    async def _found(self, guild: str, name: str, version: int | None) -> Dataset | None:
        entry = await self._records.get(dataset_key(guild, name))
        return entry.value.find(version) if entry else None

    async def _unknown(self, guild: str, dataset: str) -> NotFound:
        names = [record.versions[-1].name for record in await self.records(guild) if record.find()]
        there = ", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else "")
        hint = f"There are: {there}." if names else "Make one with !import."
        return NotFound(f"There is no dataset {dataset}. {hint}", code="unknown_dataset", param="dataset")

    async def records(self, guild: str) -> list[DatasetRecord]:
        """All names of a guild, with all their versions."""
        return [entry.value for entry in await self._records.entries(f"{guild}.") if entry.value.versions]

    async def guilds(self) -> set[str]:
        """All guilds that have, or had, datasets."""
        return {key.partition(".")[0] for key in await self._records.keys()}

    async def is_there(self, guild: str, dataset: str) -> bool:
        """Whether this version, `name@3`, can be had."""
        name, _, version = dataset.partition("@")
        found = await self._found(guild, name, int(version)) if version.isdigit() else None
        return found is not None and not found.withdrawn

    async def add(self, dataset: Dataset, after: int | None = None) -> Dataset:
        """Make it the newest version of its name; the same data again is the version that has it.

        The oldest versions go when there are too many for one entry: their models stay. Raises `Conflict`
        where another version than `after` is the newest.
        """
        too_old: dict[int, Dataset] = {}

        def added(old: DatasetRecord) -> DatasetRecord:
            _refuse_later(old, dataset.name, after)
            record = _with_version(old, dataset)
            while len(record.versions) > VERSIONS_KEPT or len(encode(record)) > ENTRY_BYTES:
                too_old[record.versions[0].version] = record.versions[0]
                record = DatasetRecord(versions=record.versions[1:])
            return record

        key = dataset_key(dataset.guild, dataset.name)
        try:
            entry = await self._records.change(key, added, initial=DatasetRecord(versions=[]))
        except Conflict:
            await self._store.delete(storage.DATASETS, (ref.key for ref in dataset.objects()))
            raise
        for old in too_old.values():
            await self._delete_bytes(old)
        there = next(v for v in reversed(entry.value.versions) if _same(v, dataset))
        if there.examples != dataset.examples:  # the same bytes, at another place
            await self._store.delete(storage.DATASETS, (ref.key for ref in dataset.objects()))
        return there

    async def withdraw(self, dataset: Dataset, reason: str) -> int:
        """Take a version's bytes away; its entry stays, and says why. Returns how many objects went."""

        def marked(version: Dataset) -> Dataset:
            return version.model_copy(update={"withdrawn": version.withdrawn or reason})

        await self._change(dataset, marked)
        return await self.purge(dataset)

    async def purge(self, dataset: Dataset) -> int:
        """Delete what a withdrawn version had. Twice is once: a crash leaves it to be done."""
        gone = await self._delete_bytes(dataset)

        def emptied(version: Dataset) -> Dataset:
            card = version.card.model_copy(update={"speakers": [], "warnings": []})
            blank = {"card": card, "options": BuildOptions(), "sources": [], "purged": True}
            return version.model_copy(update=blank)

        await self._change(dataset, emptied)
        return gone

    async def unpurged(self, guild: str) -> list[Dataset]:
        """Versions whose withdrawal was cut short."""
        records = await self.records(guild)
        return [v for record in records for v in record.versions if v.withdrawn and not v.purged]

    async def _change(self, dataset: Dataset, changed: Callable[[Dataset], Dataset]) -> None:
        def with_change(old: DatasetRecord) -> DatasetRecord:
            versions = [changed(v) if v.version == dataset.version else v for v in old.versions]
            return DatasetRecord(versions=versions)

        await self._records.change(dataset_key(dataset.guild, dataset.name), with_change)

    async def delete(self, guild: str, name: str) -> tuple[int, int]:
        """Withdraw all versions of a name: how many, and how many objects went. Raises `NotFound`.

        Their numbers are not given again: models name the versions that they learned from.
        """
        entry = await self._records.get(dataset_key(guild, name))
        there = [v for v in entry.value.versions if not v.withdrawn] if entry else []
        if not there:
            raise await self._unknown(guild, name)
        return len(there), sum([await self.withdraw(version, "it was deleted") for version in there])

    async def _delete_bytes(self, dataset: Dataset) -> int:
        """Delete a version's own objects and archives, and its uploads where no other version needs them."""
        gone = await self._store.delete(storage.DATASETS, (ref.key for ref in dataset.objects()))
        archives = await self._store.list(storage.FILES, archives_of(dataset))
        uploads = {source.file.key for source in dataset.sources}
        if uploads:
            uploads -= await self.uploads(dataset.guild)
        return gone + await self._store.delete(storage.FILES, uploads | {found.key for found in archives})

    async def unnamed(self, guild: str, before: datetime) -> list[str]:
        """Keys in the bucket `datasets` that are older, and that no version names: cut-short builds."""
        named = {
            ref.key
            for record in await self.records(guild)
            for version in record.versions
            for ref in version.objects()
        }
        found = await self._store.list(storage.DATASETS, f"{guild}/")
        return [each.key for each in found if each.key not in named and each.modified < before]

    async def uploads(self, guild: str) -> set[str]:
        """Keys of the uploads that this guild's versions came from, in the bucket `files`."""
        return {
            source.file.key
            for record in await self.records(guild)
            for version in record.versions
            if not version.withdrawn
            for source in version.sources
        }


def _refuse_later(record: DatasetRecord, name: str, after: int | None) -> None:
    newest = record.find()
    if after is not None and after != (newest.version if newest else 0):
        raise Conflict(f"{name} has got another version meanwhile. Try again.", code="changed_meanwhile")


def _with_version(old: DatasetRecord, dataset: Dataset) -> DatasetRecord:
    if any(_same(version, dataset) for version in old.versions):
        return old
    number = max((v.version for v in old.versions), default=0) + 1
    return DatasetRecord(versions=[*old.versions, dataset.model_copy(update={"version": number})])


def _same(one: Dataset, other: Dataset) -> bool:
    """Whether the same was read and made of it, in the same way, and can still be had."""
    hashes = ([ref.sha256 for ref in each.objects()] for each in (one, other))
    return next(hashes) == next(hashes) and (one.label, one.withdrawn) == (other.label, None)


def archives_of(dataset: Dataset) -> str:
    """Where its archives are, in the bucket `files`."""
    return f"{dataset.guild}/{ARCHIVES}/{dataset.id}/"
