"""Handing data over: the file goes to S3, its reference to the trainer, a dataset version comes back."""

from chorus.common.bus.calls import ask
from chorus.common.bus.connection import Connection
from chorus.common.contracts.datasets import IMPORT, Dataset, Imported, ImportFile
from chorus.common.contracts.storage import FILES
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import Upload

IMPORT_WITHIN = 120.0  # seconds


class BusDatasets:
    """`ports.Datasets` over `data.v1.import`."""

    def __init__(self, connection: Connection, store: ObjectStore) -> None:
        self._connection = connection
        self._store = store

    async def add(
        self, guild: str, name: str, upload: Upload, *, positive: bool, contributor: str
    ) -> Dataset:
        """Upload it, then have it read."""
        if not upload.data.strip():
            raise InvalidInput(f"{upload.name} is empty: there is nothing to learn from.", code="empty_file")
        file = await self._store.put_by_hash(FILES, guild, upload.data)
        question = ImportFile(
            guild=guild, name=name, file=file, filename=upload.name, label=positive, contributor=contributor
        )
        answer = await ask(self._connection, IMPORT, question, Imported, within=IMPORT_WITHIN)
        return answer.dataset
