"""Forgetting a person: their words out of everything, in an order that a crash at any line does no harm to.

    1. the ledger says so: from here on no build has them
    2. models that learned from them go stale, and are blocked when the guild's deadline passes; the replies
       that are kept beside them as samples are deleted
    3. what was harvested from channels with their words in it is deleted; it is harvested anew without them
    4. each dataset version that has their words is built anew without them, and withdrawn with its bytes,
       its archives and the files it came from, and the checkpoints of jobs that learn from it; so is what
       was packed for them, and recordings of theirs that the guild kept
    5. tests that went wrong, answers with what was asked, opinions of them and examples for models to see go,
       if they are theirs, or if a model that learned from them has answered
    6. the ledger says that it is done; until then the keeper begins again

All of it may be done twice: the second time there is nothing left to do.
"""

from dataclasses import replace

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.consent import ConsentRecord, Forget, Forgotten, is_id
from chorus.common.contracts.datasets import FORGOTTEN, Dataset
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.speech import recordings_of
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, InternalError, InvalidInput, in_short
from chorus.common.objects import ObjectStore
from chorus.trainer.curation.stored import Person
from chorus.trainer.datasets.building import Builder, plan_again, unheard
from chorus.trainer.datasets.checkpoints import Checkpoints
from chorus.trainer.datasets.consent import Ledger, folded
from chorus.trainer.datasets.export import exports_of
from chorus.trainer.datasets.feedback import Feedback
from chorus.trainer.datasets.library import Library
from chorus.trainer.datasets.mined import Harvests
from chorus.trainer.datasets.people import accounts_of, called, has, people_in
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
        checkpoints: Checkpoints,
        feedback: Feedback,
        settings: Bucket[GuildSettings],
        store: ObjectStore,
    ) -> None:
        self._ledger = ledger
        self._library = library
        self._builder = builder
        self._harvests = harvests
        self._models = models
        self._checkpoints = checkpoints
        self._feedback = feedback
        self._settings = settings
        self._store = store

    async def forget(self, asked: Forget) -> Forgotten:
        """All six steps, as a person asked for them. Raises `InvalidInput` where a name means several."""
        person = await self.by_id(asked.guild, asked.person)
        asked = asked.model_copy(update={"person": person, "names": _with(asked.names, asked.person)})
        await self._ledger.forget(asked, [])  # before anything that could fail
        return await self.carry_out(
            await self._ledger.forget(asked, await self.accounts(asked.guild, person))
        )

    async def by_id(self, guild: str, person: str) -> str:
        """The id that goes with a name in the data, if one does. Raises `InvalidInput` where several do."""
        if is_id(person):
            return person
        ids = sorted({id_ for people in await self._everybody(guild) for id_ in called(people, person)})
        if len(ids) > 1:
            raise InvalidInput(
                f"Several people here are called {in_short(person)!r}: {', '.join(ids[:SHOWN])}. "
                "Say which one is meant by their id: `person=<id>`.",
                code="ambiguous_person",
                param="person",
            )
        return ids[0] if ids else person

    async def accounts(self, guild: str, person: str) -> set[str]:
        """The account names that go with an id in the data: exports without ids may use those."""
        return {name for people in await self._everybody(guild) for name in accounts_of(people, person)}

    async def _everybody(self, guild: str) -> list[dict[str, Person]]:
        """Who is in which version; one that is damaged does not stand in the way of the others."""
        everybody: list[dict[str, Person]] = []
        for dataset in await self._whole(guild):
            try:
                everybody.append(await people_in(self._store, dataset))
            except ChorusError as error:
                log.warning("people not read", dataset=dataset.id, error=str(error))
        return everybody

    async def carry_out(self, record: ConsentRecord) -> Forgotten:
        """Steps two to six; also for a deletion that was cut short.

        Raises what stands in the way of a dataset, when all else is done: then the deletion is not ended.
        """
        guild, person = record.guild, record.person
        names = folded(person, record.names)
        chosen = await self._settings.get(guild)
        within = (chosen.value if chosen else GuildSettings()).forget_within
        blocked_at = (record.forget_since or now()) + within
        models = await self._models.went_stale(guild, person, names, blocked_at)
        objects = await self._harvests.forget(guild, person)
        for folder in (exports_of(guild, person), recordings_of(guild, person)):
            lying = await self._store.list(storage.FILES, folder)
            objects += await self._store.delete(storage.FILES, (found.key for found in lying))
        try:
            datasets, deleted = await self._from_datasets(guild, person, names)
        finally:  # a job may have published meanwhile what it was taught before
            models |= await self._models.went_stale(guild, person, names, blocked_at)
            tags = [tag for tags in models.values() for tag in tags]
            objects += await self._checkpoints.forget(guild, await self._withdrawn(guild), tags)
            feedback = await self._feedback.forget(guild, person, tags)
        await self._ledger.forgotten(record)
        log.info("person forgotten", guild=guild, datasets=len(datasets), models=len(models))
        return Forgotten(
            datasets=datasets,
            objects=objects + deleted,
            feedback=feedback,
            models=sorted(models),
            blocked_at=blocked_at if models else None,
        )

    async def _from_datasets(self, guild: str, person: str, names: set[str]) -> tuple[list[str], int]:
        """Withdraw each version with their words, once there is one without: (versions, objects deleted)."""
        withdrawn: list[str] = []
        objects = 0
        trouble: ChorusError | None = None
        for dataset in [*await self._library.unpurged(guild), *await self._whole(guild)]:
            try:
                if dataset.withdrawn:
                    objects += await self._library.purge(dataset)
                elif has(await people_in(self._store, dataset), person, names):
                    if dataset.id in {newest.id for newest in await self._newest(guild)}:
                        await self._build_without(dataset)
                    objects += await self._library.withdraw(dataset, FORGOTTEN)
                    withdrawn.append(dataset.id)
            except ChorusError as error:
                log.warning("dataset not forgotten", dataset=dataset.id, error=str(error))
                trouble = error
        await self._reselect(guild)
        if trouble is not None:
            raise InternalError(
                "Some of the data could not be rid of these words yet: it is tried again until it is done. "
                "The log has the details.",
                code="not_all_forgotten",
            )
        return withdrawn, objects

    async def _build_without(self, dataset: Dataset) -> None:
        """A newer version of the same data, if anything is left; the ledger knows whose words go."""
        try:
            built = await self._builder.build(replace(plan_again(dataset), sources=()), unheard)
        except InvalidInput as error:
            if error.code not in NOTHING_LEFT:
                raise
            return
        if built.id == dataset.id:
            raise InternalError(f"{dataset.id} is the same without those words, which it cannot be.")

    async def _reselect(self, guild: str) -> None:
        """A bare `!train` takes what is there now."""
        there = {version.id: version for version in await self._whole(guild)}
        newest = {version.name: version.id for version in there.values()}

        def chosen(settings: GuildSettings) -> GuildSettings:
            if settings.dataset is None or settings.dataset in there:
                return settings
            name = settings.dataset.partition("@")[0]
            return settings.model_copy(update={"dataset": newest.get(name)})

        await self._settings.change(guild, chosen, initial=GuildSettings())

    async def _whole(self, guild: str) -> list[Dataset]:
        """Every version that is there."""
        records = await self._library.records(guild)
        return [version for record in records for version in record.versions if not version.withdrawn]

    async def _withdrawn(self, guild: str) -> list[str]:
        """Every version that somebody's words were deleted from, now or before."""
        records = await self._library.records(guild)
        return [v.id for record in records for v in record.versions if v.withdrawn == FORGOTTEN]

    async def _newest(self, guild: str) -> list[Dataset]:
        """Of each name the newest version of what is wanted, and of what is not."""
        return list({(v.name, v.label): v for v in await self._whole(guild)}.values())


def _with(names: list[str], person: str) -> list[str]:
    """The names, and what the person was called by."""
    return names if is_id(person) else [*names, person]
