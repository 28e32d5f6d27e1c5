"""Forgetting a person: their words out of everything, in an order that a crash at any line does no harm to.

    1. the ledger says so: from here on no build has them
    2. what was harvested from channels with their words in it is deleted; it is harvested anew without them
    3. each dataset version that has their words is built anew without them, and withdrawn with its bytes,
       its archives and the files it came from; so is what was packed for them
    4. models that learned from them go stale, and are blocked when the guild's deadline passes
    5. the ledger says that it is done; until then the keeper begins again

All of it may be done twice: the second time there is nothing left to do.
"""

from dataclasses import replace

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.consent import ConsentRecord, Forget, Forgotten, SetConsent
from chorus.common.contracts.datasets import FORGOTTEN, Dataset
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.building import Builder, plan_again, unheard
from chorus.trainer.datasets.consent import Ledger, folded
from chorus.trainer.datasets.export import exports_of
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.mined import Harvests
from chorus.trainer.datasets.people import has, names_of, people_in
from chorus.trainer.datasets.stale import Models

log = structlog.get_logger()


class Forgetting:
    """Forgets one person after the other."""

    def __init__(
        self,
        ledger: Ledger,
        library: Library,
        builder: Builder,
        harvests: Harvests,
        models: Models,
        settings: Bucket[GuildSettings],
        store: ObjectStore,
    ) -> None:
        self._ledger = ledger
        self._library = library
        self._builder = builder
        self._harvests = harvests
        self._models = models
        self._settings = settings
        self._store = store

    async def forget(self, asked: Forget) -> Forgotten:
        """All five steps, as a person asked for them."""
        names = sorted({*asked.names, *await self._also_known_as(asked.guild, asked.person)})
        wish = SetConsent(
            guild=asked.guild, person=asked.person, state="out", names=names, said_by=asked.said_by
        )
        return await self.carry_out(await self._ledger.forget(wish))

    async def carry_out(self, record: ConsentRecord) -> Forgotten:
        """Steps two to five; also for a deletion that was cut short."""
        guild, person = record.guild, record.person
        names = folded(person, record.names)
        objects = await self._harvests.forget(guild, person)
        datasets, deleted = await self._from_datasets(guild, person, names)
        packed = await self._store.list(storage.FILES, exports_of(guild, person))
        objects += deleted + await self._store.delete(storage.FILES, (found.key for found in packed))
        chosen = await self._settings.get(guild)
        within = (chosen.value if chosen else GuildSettings()).forget_within
        blocked_at = (record.forget_since or now()) + within
        models = await self._models.went_stale(guild, person, names, blocked_at)
        await self._ledger.forgotten(record)
        log.info("person forgotten", guild=guild, datasets=len(datasets), objects=objects, models=len(models))
        return Forgotten(
            datasets=datasets, objects=objects, models=models, blocked_at=blocked_at if models else None
        )

    async def _also_known_as(self, guild: str, person: str) -> set[str]:
        """The names that go with their id in the data: exports without ids may use those."""
        names: set[str] = set()
        for dataset in await self._all(guild):
            names |= names_of(await people_in(self._store, dataset), person)
        return names

    async def _from_datasets(self, guild: str, person: str, names: set[str]) -> tuple[list[str], int]:
        """Withdraw each version with their words, once there is one without: (versions, objects deleted)."""
        withdrawn, objects = [], 0
        for dataset in await self._all(guild):
            if not has(await people_in(self._store, dataset), person, names):
                continue
            if dataset == await self._newest(dataset):
                await self._build_without(dataset)
            objects += await self._library.withdraw(dataset, FORGOTTEN)
            withdrawn.append(dataset.id)
        return withdrawn, objects

    async def _build_without(self, dataset: Dataset) -> None:
        """A newer version of the same data; the ledger knows whose words it must not have."""
        try:
            await self._builder.build(replace(plan_again(dataset), sources=()), unheard)
        except InvalidInput as error:  # nothing is left to learn
            log.info("dataset ends with its only speaker", dataset=dataset.id, code=error.code)

    async def _all(self, guild: str) -> list[Dataset]:
        """Every version that is whole."""
        records = await self._library.records(guild)
        return [version for record in records for version in record.versions if not version.withdrawn]

    async def _newest(self, dataset: Dataset) -> Dataset | None:
        record = next(
            r for r in await self._library.records(dataset.guild) if r.versions[-1].name == dataset.name
        )
        return record.find()
