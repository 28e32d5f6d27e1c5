"""Handing data over: files go to S3, their references to the trainer, a dataset version comes back."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from pydantic import BaseModel

from chorus.common.bus.calls import ask, ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.contracts import datasets as wire
from chorus.common.contracts.datasets import (
    BUILD_REPLY,
    Archived,
    Building,
    BuildOptions,
    Dataset,
    Deleted,
    Imported,
    Previewed,
    Selected,
    Source,
)
from chorus.common.contracts.storage import FILES
from chorus.common.errors import InternalError, InvalidInput
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import NewDataset, Upload

FIRST_WITHIN, NEXT_WITHIN = (
    120.0,
    120.0,
)  # seconds until a build says something; it waits in line, and fetches
BUILT_WITHIN = 1800.0  # seconds; what is selected may have to be built anew
PACKED_WITHIN = 300.0  # seconds
SHOWN_WITHIN = 60.0  # seconds

Answer = TypeVar("Answer", bound=BaseModel)


class BusDatasets:
    """`ports.Datasets` over `data.v1.*`."""

    def __init__(self, connection: Connection, store: ObjectStore) -> None:
        self._connection = connection
        self._store = store

    async def add(self, guild: str, new: NewDataset) -> AsyncGenerator[Building | Dataset, None]:
        """Upload what is not there yet, then have it read."""
        sources: list[Source] = []
        several = len(new.files) if len(new.files) > 1 else 0
        for number, file in enumerate(new.files):
            if isinstance(file, Upload):
                yield Building(stage=f"uploading {file.name}", done=number if several else 0, total=several)
                sources.append(await self._uploaded(guild, file))
            else:
                sources.append(file)
        question = wire.Import(
            guild=guild,
            name=new.name,
            files=sources,
            label=new.positive,
            contributor=new.contributor,
            basis=new.basis,
            options=new.options,
            after=new.after,
        )
        async with aclosing(self._built(wire.IMPORT, question)) as steps:
            async for step in steps:
                yield step

    async def _uploaded(self, guild: str, file: Upload) -> Source:
        if not (file.data.strip() if isinstance(file.data, bytes) else file.size):
            raise InvalidInput(f"{file.name} is empty: there is nothing to learn from.", code="empty_file")
        stored = await self._store.put_by_hash(FILES, guild, file.data)
        return Source(file=stored, filename=file.name[-wire.LONGEST_FILENAME :])  # the end says what it is

    async def rebuild(
        self, guild: str, dataset: str, options: BuildOptions
    ) -> AsyncGenerator[Building | Dataset, None]:
        """Have it built anew."""
        question = wire.Rebuild(guild=guild, dataset=dataset, options=options)
        async with aclosing(self._built(wire.BUILD, question)) as steps:
            async for step in steps:
                yield step

    async def _built(self, subject: str, question: BaseModel) -> AsyncGenerator[Building | Dataset, None]:
        """What a build tells; who leaves stops it. At last the version, or an error."""
        built = False
        replies = ask_stream(
            self._connection,
            subject,
            question,
            BUILD_REPLY,
            cancel=wire.CANCEL,
            first_within=FIRST_WITHIN,
            next_within=NEXT_WITHIN,
        )
        async with aclosing(replies):
            async for reply in replies:
                built = isinstance(reply, Imported)
                yield reply.dataset if isinstance(reply, Imported) else reply
        if not built:
            raise InternalError("The build ended without a dataset. The log has the details.")

    async def list(self, guild: str) -> wire.Datasets:
        """All of the guild's."""
        return await self._ask(wire.LIST, wire.ListDatasets(guild=guild), wire.Datasets, SHOWN_WITHIN)

    async def preview(self, guild: str, dataset: str, count: int) -> Previewed:
        """A few examples, rendered where the base model's template is."""
        question = wire.Preview(guild=guild, dataset=dataset, count=count)
        return await self._ask(wire.PREVIEW, question, Previewed, SHOWN_WITHIN)

    async def select(self, guild: str, dataset: str, *, positive: bool) -> Selected:
        """Choose it, and take a snapshot of it."""
        question = wire.Select(guild=guild, dataset=dataset, label=positive)
        return await self._ask(wire.SELECT, question, Selected, BUILT_WITHIN)

    async def archive(self, guild: str, dataset: str) -> Archived:
        """Have it packed."""
        question = wire.Archive(guild=guild, dataset=dataset)
        return await self._ask(wire.ARCHIVE, question, Archived, PACKED_WITHIN)

    async def delete(self, guild: str, name: str) -> Deleted:
        """Delete all of it."""
        question = wire.DeleteDataset(guild=guild, name=name)
        return await self._ask(wire.DELETE, question, Deleted, PACKED_WITHIN)

    async def _ask(self, subject: str, question: BaseModel, answer: type[Answer], within: float) -> Answer:
        return await ask(self._connection, subject, question, answer, within=within)
