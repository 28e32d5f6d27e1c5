"""Models that learned from words which were deleted since: stale, and after a deadline blocked.

KV has no list of whom a version learned from, for it may be thousands; the manifest in S3 has. What people
wrote is in one document beside a model, its sample replies: that one goes at once, the rest in time.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    MANIFEST,
    SAMPLES,
    Manifest,
    ModelRecord,
    ModelVersion,
    Stale,
    model_key,
)
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import NotFound
from chorus.common.objects import ObjectStore, Stored
from chorus.trainer.datasets.consent import is_of
from chorus.trainer.training.merging import merged_files

log = structlog.get_logger()


class Models:
    """All guilds' models, as far as they have to be forgotten."""

    def __init__(
        self, records: Bucket[ModelRecord], settings: Bucket[GuildSettings], store: ObjectStore
    ) -> None:
        self._records = records
        self._settings = settings
        self._store = store

    async def went_stale(
        self, guild: str, person: str, names: set[str], blocked_at: datetime
    ) -> dict[str, list[str]]:
        """Mark all that learned from this person, and delete their words beside it.

        An earlier deadline stands. Returns all that jobs may go on from, by what to call it for people: of
        each job its version, or its newest checkpoint if there is none.
        """
        stale = Stale(since=now(), blocked_at=blocked_at)
        marked: dict[str, list[str]] = {}
        for entry in await self._records.entries(f"{guild}."):
            record = entry.value
            theirs = [v for v in _all(record) if await self._learned_from(v, person, names)]
            if not theirs:
                continue
            jobs: dict[str, list[str]] = defaultdict(list)
            for version in theirs:
                jobs[version.job].append(f"{record.name}@{version.tag}")
            await self._records.change(entry.key, lambda old, jobs=set(jobs): old.marked(stale, jobs))
            await self._store.delete(storage.MODELS, (f"{_folder(version)}{SAMPLES}" for version in theirs))
            marked |= {tags[-1]: tags for tags in jobs.values()}
        return marked

    async def _learned_from(self, version: ModelVersion, person: str, names: set[str]) -> bool:
        try:
            manifest = decode(Manifest, await self._store.get(version.manifest))
        except NotFound:  # blocked already: nothing of it is left
            return False
        return any(is_of(contributor, person, names) for contributor in manifest.contributors)

    async def block_overdue(self) -> None:
        """Delete what is past its deadline, and have the guild answered by what is left.

        Of what waits for its deadline the samples are deleted again: a job may have published meanwhile.
        """
        for entry in await self._records.entries():
            record = entry.value
            waiting = [v for v in _all(record) if v.stale is not None and not v.is_blocked(now())]
            await self._store.delete(storage.MODELS, (f"{_folder(version)}{SAMPLES}" for version in waiting))
            overdue = [version for version in _all(record) if version.is_blocked(now())]
            for version in overdue:
                await self._delete(record, version)
            if blocked := {version.version for version in overdue if version.label is None}:
                await self._succeed(record, blocked)

    async def _delete(self, record: ModelRecord, version: ModelVersion) -> None:
        """The files of a version, and of the whole model that was made of it for somebody to fetch."""
        found = await self._store.list(storage.MODELS, _folder(version))
        if found:
            await self._store.delete(storage.MODELS, (file.key for file in found))
            log.info("model blocked", guild=record.guild, model=f"{record.name}@{version.tag}")
        merged = await self._store.list(storage.FILES, merged_files(record.guild, version.manifest))
        await self._store.delete(storage.FILES, (file.key for file in merged))

    async def _succeed(self, record: ModelRecord, blocked: set[int]) -> None:
        """Take the aliases off the blocked versions; `prod` goes to the newest other one that may answer."""

        def moved(old: ModelRecord) -> ModelRecord:
            left = [v.version for v in old.versions if v.version not in blocked and _may_answer(v)]
            aliases = {name: at for name, at in old.aliases.items() if at not in blocked}
            if "prod" in old.aliases and "prod" not in aliases and left:
                aliases["prod"] = max(left)
            return old.model_copy(update={"aliases": aliases})

        entry = await self._records.change(model_key(record.guild, record.name), moved)
        if "prod" not in entry.value.aliases:

            def without(old: GuildSettings) -> GuildSettings:
                return old.model_copy(update={"voice": None}) if old.voice == record.name else old

            await self._settings.change(record.guild, without, initial=GuildSettings())

    async def unnamed(self, before: datetime, busy: Collection[str]) -> list[str]:
        """Keys in the bucket `models` that no entry names, of folders where nothing is newer: lost uploads.

        `busy` are the entries' keys of models that jobs are at work on. What is under an entry that cannot
        be read stays: a newer Chorus may have written it.
        """
        folders: dict[str, list[Stored]] = defaultdict(list)
        for found in await self._store.list(storage.MODELS, ""):
            folders[found.key.rpartition("/")[0] + "/"].append(found)
        records = {entry.key: entry.value for entry in await self._records.entries()}
        kept = {*busy, *(set(await self._records.keys()) - records.keys())}
        named = {_folder(version) for record in records.values() for version in _all(record)}
        return [
            file.key
            for folder, files in folders.items()
            if folder not in named
            and model_key(*folder.split("/")[:2]) not in kept
            and max(file.modified for file in files) < before
            for file in files
        ]


def _all(record: ModelRecord) -> list[ModelVersion]:
    """Checkpoints, then versions."""
    return [*record.checkpoints, *record.versions]


def _may_answer(version: ModelVersion) -> bool:
    """Whether a version may be promoted without anybody's word."""
    return version.form == "adapter" and (version.parity is None or version.parity.verdict != "differs")


def _folder(version: ModelVersion) -> str:
    """Where its files are, with the slash."""
    return version.manifest.key.removesuffix(MANIFEST)
