"""Handing objects out: their bytes, or a link on the endpoint that the operator has made public."""

from pathlib import Path

from chorus.common.contracts.storage import ObjectRef
from chorus.common.objects import ObjectStore

LINKED_FOR = 3600.0  # seconds


class S3Objects:
    """`ports.Objects`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def download(self, ref: ObjectRef) -> "S3Download":
        """This object."""
        return S3Download(self._store, ref)


class S3Download:
    """`ports.Download`. Nothing is fetched before it is read or saved."""

    def __init__(self, store: ObjectStore, ref: ObjectRef) -> None:
        self._store = store
        self._ref = ref

    @property
    def size(self) -> int:
        """Bytes."""
        return self._ref.size

    async def read(self) -> bytes:
        """All of it, checked."""
        return await self._store.get(self._ref)

    async def save(self, path: Path) -> None:
        """Into a file, checked."""
        await self._store.get_file(self._ref, path)

    def link(self, filename: str) -> str | None:
        """Good for an hour."""
        return self._store.link(self._ref, filename, LINKED_FOR)
