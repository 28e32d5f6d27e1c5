"""Forgetting a person: their words out of everything, in an order that a crash at any line does no harm to.

    1. the ledger says so: from here on no build has them
    2. models that learned from them go stale, and are blocked when the guild's deadline passes
    3. what was harvested from channels with their words in it is deleted; it is harvested anew without them
    4. each dataset version that has their words is built anew without them, and withdrawn with its bytes,
       its archives and the files it came from; so is what was packed for them
    5. the ledger says that it is done; until then the keeper begins again

All of it may be done twice: the second time there is nothing left to do.
"""

from dataclasses import replace

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.consent import ConsentRecord, Forget, Forgotten, is_id
from chorus.common.contracts.datasets import FORGOTTEN, Dataset
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, InvalidInput, in_short
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.building import Builder, plan_again, unheard
from chorus.trainer.datasets.consent import Ledger, folded
from chorus.trainer.datasets.export import exports_of
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.mined import Harvests
from chorus.trainer.datasets.people import Person, accounts_of, called, has, people_in
from chorus.trainer.datasets.stale import Models

SHOWN = 8  # ids of people with one name
NOTHING_LEFT = ("nothing_to_learn", "no_such_target")
"""Codes of a build that ends because it was their words that were learned."""

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
        """All five steps, as a person asked for them. Raises `InvalidInput` where a name means several."""
        everybody = [await people_in(self._store, dataset) for dataset in await self._whole(asked.guild)]
        asked = _by_id(asked, everybody)
        accounts = {name for people in everybody for name in accounts_of(people, asked.person)}
        return await self.carry_out(await self._ledger.forget(asked, accounts))

    async def carry_out(self, record: ConsentRecord) -> Forgotten:
        """Steps two to five; also for a deletion that was cut short.

        Raises what stands in the way of a dataset, when all else is done: then the deletion is not ended.
        """
        guild, person = record.guild, record.person
        names = folded(person, record.names)
        chosen = await self._settings.get(guild)
        within = (chosen.value if chosen else GuildSettings()).forget_within
        blocked_at = (record.forget_since or now()) + within
        models = await self._models.went_stale(guild, person, names, blocked_at)
        objects = await self._harvests.forget(guild, person)
        packed = await self._store.list(storage.FILES, exports_of(guild, person))
        objects += await self._store.delete(storage.FILES, (found.key for found in packed))
        datasets, deleted = await self._from_datasets(guild, person, names)
        await self._ledger.forgotten(record)
        log.info("person forgotten", guild=guild, datasets=len(datasets), models=len(models))
        return Forgotten(
            datasets=datasets,
            objects=objects + deleted,
            models=models,
            blocked_at=blocked_at if models else None,
        )

    async def _from_datasets(self, guild: str, person: str, names: set[str]) -> tuple[list[str], int]:
        """Withdraw each version with their words, once there is one without: (versions, objects deleted)."""
        withdrawn: list[str] = []
        objects = sum([await self._library.purge(v) for v in await self._library.unpurged(guild)])
        trouble: ChorusError | None = None
        for dataset in await self._whole(guild):
            if not has(await people_in(self._store, dataset), person, names):
                continue
            try:
                if dataset.id in {newest.id for newest in await self._newest(guild)}:
                    await self._select_instead(dataset, await self._built_without(dataset))
            except ChorusError as error:
                log.warning("dataset not built anew", dataset=dataset.id, code=error.code)
                trouble = error
                continue
            objects += await self._library.withdraw(dataset, FORGOTTEN)
            withdrawn.append(dataset.id)
        if trouble is not None:
            raise trouble
        return withdrawn, objects

    async def _built_without(self, dataset: Dataset) -> Dataset | None:
        """A newer version of the same data, if anything is left; the ledger knows whose words go."""
        try:
            return await self._builder.build(replace(plan_again(dataset), sources=()), unheard)
        except InvalidInput as error:
            if error.code not in NOTHING_LEFT:
                raise
            return None

    async def _select_instead(self, old: Dataset, new: Dataset | None) -> None:
        """A bare `!train` takes the version that is there now."""

        def chosen(settings: GuildSettings) -> GuildSettings:
            selected = settings.dataset == old.id
            return settings.model_copy(update={"dataset": new.id if new else None}) if selected else settings

        await self._settings.change(old.guild, chosen, initial=GuildSettings())

    async def _whole(self, guild: str) -> list[Dataset]:
        """Every version that is there."""
        records = await self._library.records(guild)
        return [version for record in records for version in record.versions if not version.withdrawn]

    async def _newest(self, guild: str) -> list[Dataset]:
        """Of each name the newest version of what is wanted, and of what is not."""
        return list({(v.name, v.label): v for v in await self._whole(guild)}.values())


def _by_id(asked: Forget, everybody: list[dict[str, Person]]) -> Forget:
    """The same, with the id that goes with a name in the data, if one does."""
    if is_id(asked.person):
        return asked
    ids = sorted({id_ for people in everybody for id_ in called(people, asked.person)})
    if len(ids) > 1:
        raise InvalidInput(
            f"Several people here are called {in_short(asked.person)!r}: {', '.join(ids[:SHOWN])}. "
            "Say which one is meant by their id: `person=<id>`.",
            code="ambiguous_person",
            param="person",
        )
    if not ids:
        return asked  # known by name alone
    return asked.model_copy(update={"person": ids[0], "names": [*asked.names, asked.person]})
