"""What the trainer answers on the bus, beside the jobs it takes from the queue."""

import asyncio

from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import Dataset, DatasetRecord, Imported, ImportFile
from chorus.common.contracts.storage import DATASETS, FILES
from chorus.common.contracts.wire import now
from chorus.common.errors import NotPermitted
from chorus.common.objects import ObjectStore
from chorus.trainer.curation.build import Built, build


class DatasetHandlers:
    """`data.v1.*`."""

    def __init__(self, store: ObjectStore, records: Bucket[DatasetRecord]) -> None:
        self._store = store
        self._records = records

    async def import_file(self, asked: ImportFile) -> Imported:
        """Read an uploaded file into a dataset version; the same examples again are the same version."""
        if not asked.file.belongs_to(asked.guild, FILES):
            raise NotPermitted("This file belongs to another guild.", code="other_guild")
        data = await self._store.get(asked.file)
        built = await asyncio.to_thread(
            build, data, label=asked.label, contributor=asked.contributor, source=asked.filename
        )
        dataset = await self._stored(asked, built)
        entry = await self._records.change(
            f"{asked.guild}.{asked.name}",
            lambda old: _with_version(old, dataset),
            initial=DatasetRecord(versions=[]),
        )
        same = [v for v in entry.value.versions if v.examples == dataset.examples]
        return Imported(dataset=same[0])

    async def _stored(self, asked: ImportFile, built: Built) -> Dataset:
        key = (
            f"{asked.guild}/{asked.name}/{asked.file.sha256}-{'wanted' if asked.label else 'unwanted'}.jsonl"
        )
        return Dataset(
            guild=asked.guild,
            name=asked.name,
            version=1,
            examples=await self._store.put(DATASETS, key, built.lines),
            format=built.format,
            read=built.read,
            kept=built.kept,
            dropped=built.dropped,
            positive=built.kept if asked.label else 0,
            contributors=[asked.contributor],
            warnings=built.warnings,
            created_at=now(),
        )


def _with_version(old: DatasetRecord, dataset: Dataset) -> DatasetRecord:
    if any(version.examples == dataset.examples for version in old.versions):
        return old
    numbered = dataset.model_copy(update={"version": len(old.versions) + 1})
    return DatasetRecord(versions=[*old.versions, numbered])
