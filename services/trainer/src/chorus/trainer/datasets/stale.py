"""Models that learned from words which were deleted since: stale, and after a deadline blocked.

KV has no list of whom a version learned from, for it may be thousands; the manifest in S3 has.
"""

from datetime import datetime

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import Manifest, ModelRecord, ModelVersion, Stale, model_key
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import NotFound
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.consent import is_of

log = structlog.get_logger()


class Models:
    """All guilds' models, as far as they have to be forgotten."""

    def __init__(
        self, records: Bucket[ModelRecord], settings: Bucket[GuildSettings], store: ObjectStore
    ) -> None:
        self._records = records
        self._settings = settings
        self._store = store

    async def went_stale(self, guild: str, person: str, names: set[str], blocked_at: datetime) -> list[str]:
        """Mark each version that learned from this person: from then on it may not answer."""
        stale = Stale(since=now(), blocked_at=blocked_at)
        marked: list[str] = []
        for entry in await self._records.entries(f"{guild}."):
            record = entry.value
            theirs = {v.version for v in record.versions if await self._learned_from(v, person, names)}
            if theirs:
                await self._change(record, theirs, stale)
            marked += [f"{record.name}@{version}" for version in sorted(theirs)]
        return marked

    async def _learned_from(self, version: ModelVersion, person: str, names: set[str]) -> bool:
        try:
            manifest = decode(Manifest, await self._store.get(version.manifest))
        except NotFound:  # blocked already: nothing of it is left
            return False
        return any(is_of(contributor, person, names) for contributor in manifest.contributors)

    async def _change(self, record: ModelRecord, versions: set[int], stale: Stale) -> None:
        """An earlier deadline stands."""

        def marked(old: ModelRecord) -> ModelRecord:
            return old.model_copy(
                update={
                    "versions": [
                        v.model_copy(update={"stale": v.stale or stale}) if v.version in versions else v
                        for v in old.versions
                    ]
                }
            )

        await self._records.change(model_key(record.guild, record.name), marked)

    async def block_overdue(self) -> None:
        """Delete what is past its deadline, and have the guild answered by what is left."""
        for entry in await self._records.entries():
            record = entry.value
            overdue = [version for version in record.versions if version.is_blocked(now())]
            for version in overdue:
                folder = version.manifest.key.rpartition("/")[0]
                found = await self._store.list(storage.MODELS, f"{folder}/")
                if found:
                    await self._store.delete(storage.MODELS, (file.key for file in found))
                    log.info("model blocked", guild=record.guild, model=f"{record.name}@{version.version}")
            if overdue:
                await self._succeed(record, {version.version for version in overdue})

    async def _succeed(self, record: ModelRecord, blocked: set[int]) -> None:
        """Take the aliases off the blocked versions; `prod` goes to the newest one that is left."""

        def moved(old: ModelRecord) -> ModelRecord:
            left = max((v.version for v in old.versions if v.version not in blocked), default=None)
            aliases = {name: at for name, at in old.aliases.items() if at not in blocked}
            if "prod" in old.aliases and "prod" not in aliases and left is not None:
                aliases["prod"] = left
            return old.model_copy(update={"aliases": aliases})

        entry = await self._records.change(model_key(record.guild, record.name), moved)
        if "prod" not in entry.value.aliases:

            def without(old: GuildSettings) -> GuildSettings:
                return old.model_copy(update={"voice": None}) if old.voice == record.name else old

            await self._settings.change(record.guild, without, initial=GuildSettings())
