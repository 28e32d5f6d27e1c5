"""What the trainer answers on the bus, beside the jobs it takes from the queue."""

import asyncio
from pathlib import Path

from chorus.common import base_model
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.state import Bucket
from chorus.common.contracts.consent import (
    ConsentRecord,
    Exported,
    ExportPerson,
    Forget,
    Forgotten,
    SetConsent,
)
from chorus.common.contracts.datasets import (
    Archive,
    Archived,
    Building,
    Dataset,
    Datasets,
    Deleted,
    DeleteDataset,
    Import,
    Imported,
    ListDatasets,
    Preview,
    Previewed,
    Rebuild,
    Select,
    Selected,
)
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.merging import Merge, Merging
from chorus.common.contracts.models import Manifest, ModelRecord, model_key, parse_model
from chorus.common.contracts.storage import MODELS
from chorus.common.contracts.training import Checked, CheckTraining, Estimate, JobRecord, Parent
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import NotPermitted
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.archive import archive, filename
from chorus.trainer.datasets.building import Builder, Plan, plan_again, plan_of, unheard
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.export import export
from chorus.trainer.datasets.feedback import Feedback
from chorus.trainer.datasets.forgetting import Forgetting
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.pulse import beating
from chorus.trainer.training.checking import Before, Offer, problems
from chorus.trainer.training.estimate import foreseen, shape_of
from chorus.trainer.training.merging import Merger

SHOWN = 8  # versions of one name in a list


class DatasetHandlers:
    """`data.v1.*`."""

    def __init__(
        self,
        library: Library,
        builder: Builder,
        settings: Bucket[GuildSettings],
        store: ObjectStore,
        folder: Path,
    ) -> None:
        self._library = library
        self._builder = builder
        self._settings = settings
        self._store = store
        self._folder = folder

    async def import_files(self, asked: Import, replies: ReplyStream) -> None:
        """Read uploaded files into a dataset version; say meanwhile how far it is."""
        await self._build(plan_of(asked), replies)

    async def rebuild(self, asked: Rebuild, replies: ReplyStream) -> None:
        """Build a version anew with other options."""
        dataset = await self._library.find(asked.guild, asked.dataset)
        await self._build(plan_again(dataset, options=asked.options), replies)

    async def _build(self, plan: Plan, replies: ReplyStream) -> None:
        async with beating(replies.send, Building(stage="waiting")) as tell:
            dataset = await self._builder.build(plan, tell)
        await replies.send(Imported(dataset=dataset))

    async def list(self, asked: ListDatasets) -> Datasets:
        """What there is, by name."""
        records = await self._library.records(asked.guild)
        whole = [[v for v in record.versions if not v.withdrawn] for record in records]
        chosen = await self._settings.get(asked.guild)
        return Datasets(
            datasets=[version for versions in whole for version in reversed(versions[-SHOWN:])],
            selected=chosen.value.dataset if chosen else None,
        )

    async def preview(self, asked: Preview) -> Previewed:
        """A few examples as a model will see them."""
        dataset = await self._library.find(asked.guild, asked.dataset)
        return Previewed(dataset=dataset, samples=await self._builder.preview(dataset, asked.count))

    async def select(self, asked: Select) -> Selected:
        """Make it what a bare `!train` uses, and take a snapshot."""
        dataset = await self._library.find(asked.guild, asked.dataset)
        if dataset.label != asked.label:
            dataset = await self._builder.build(plan_again(dataset, label=asked.label), unheard)
        packed = await archive(self._library, self._store, dataset, self._folder)

        def chosen(old: GuildSettings) -> GuildSettings:
            return old.model_copy(update={"dataset": dataset.id})

        await self._settings.change(asked.guild, chosen, initial=GuildSettings())
        return Selected(dataset=dataset, archive=packed)

    async def archive(self, asked: Archive) -> Archived:
        """A version as a ZIP."""
        dataset: Dataset = await self._library.find(asked.guild, asked.dataset)
        packed = await archive(self._library, self._store, dataset, self._folder)
        return Archived(dataset=dataset, archive=packed, filename=filename(dataset))

    async def delete(self, asked: DeleteDataset) -> Deleted:
        """A name with all its versions."""
        versions, objects = await self._library.delete(asked.guild, asked.name)

        def deselected(old: GuildSettings) -> GuildSettings:
            selected = (old.dataset or "").partition("@")[0] == asked.name
            return old.model_copy(update={"dataset": None}) if selected else old

        await self._settings.change(asked.guild, deselected, initial=GuildSettings())
        return Deleted(versions=versions, objects=objects)


class ConsentHandlers:
    """`consent.v1.*`."""

    def __init__(
        self,
        ledger: Ledger,
        forgetting: Forgetting,
        library: Library,
        feedback: Feedback,
        store: ObjectStore,
        folder: Path,
    ) -> None:
        self._ledger = ledger
        self._forgetting = forgetting
        self._library = library
        self._feedback = feedback
        self._store = store
        self._folder = folder

    async def set(self, asked: SetConsent) -> ConsentRecord:
        """Write down what a person wants; one who is named is found by their id."""
        person = await self._forgetting.by_id(asked.guild, asked.person)
        return await self._ledger.set(asked.model_copy(update={"person": person}))

    async def forget(self, asked: Forget) -> Forgotten:
        """Delete a person's words, everywhere."""
        return await self._forgetting.forget(asked)

    async def export(self, asked: ExportPerson) -> Exported:
        """All that is kept of a person's words."""
        person = await self._forgetting.by_id(asked.guild, asked.person)
        known = await self._ledger.get(asked.guild, person)
        record = known or ConsentRecord(
            guild=asked.guild, person=person, state="in", said_by=person, at=now()
        )
        names = {*record.names, *asked.names, *await self._forgetting.accounts(asked.guild, person)}
        record = record.model_copy(update={"names": sorted(names)})
        return await export(self._library, self._feedback, self._store, record, self._folder)


class MergeHandlers:
    """`train.v1.merge`."""

    def __init__(self, merger: Merger) -> None:
        self._merger = merger

    async def merge(self, asked: Merge, replies: ReplyStream) -> None:
        """Merge an adapter into its base; say meanwhile how far it is."""
        async with beating(replies.send, Merging(stage="waiting")) as tell:
            merged = await self._merger.merge(asked, tell)
        await replies.send(merged)


class CheckHandlers:
    """`train.v1.check`."""

    def __init__(
        self, offer: Offer, jobs: Bucket[JobRecord], models: Bucket[ModelRecord], store: ObjectStore
    ) -> None:
        self._offer = offer
        self._jobs = jobs
        self._models = models
        self._store = store

    async def check(self, asked: CheckTraining) -> Checked:
        """Everything that is wrong, or what it will take."""
        jobs = [entry.value for entry in await self._jobs.entries(f"{asked.guild}.")]
        before = await self._before(asked.guild, asked.parent) if asked.parent else None
        if found := problems(asked, self._offer, before=before, jobs=jobs, at=now()):
            return Checked(problems=found)
        return Checked(estimate=await self._estimate(asked, jobs, before))

    async def _before(self, guild: str, parent: Parent) -> Before | None:
        if not parent.manifest.belongs_to(guild, MODELS):
            raise NotPermitted(f"The model {parent.model} belongs to another guild.", code="other_guild")
        name, selector = parse_model(parent.model)
        entry = await self._models.get(model_key(guild, name))
        version = entry.value.find(selector) if entry else None
        if version is None:
            return None
        return Before(version, decode(Manifest, await self._store.get(version.manifest)))

    async def _estimate(
        self, asked: CheckTraining, jobs: list[JobRecord], before: Before | None
    ) -> Estimate | None:
        """None where the base's configuration is not on this machine, or tells us too little."""
        name = self._offer.base(before.version.base.name if before else asked.base)
        config = await asyncio.to_thread(base_model.config_of, name) if name else None
        shape = shape_of(config) if config else None
        if shape is None:
            return None
        # It lays examples into rows, as many as there are: of large data that takes tenths of a second.
        return await asyncio.to_thread(foreseen, asked, shape, jobs, gpu=self._offer.gpu)
