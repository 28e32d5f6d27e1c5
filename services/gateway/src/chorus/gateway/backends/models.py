"""A guild's models and its voice: entries in the buckets `models` and `settings`, files in S3."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from chorus.common.bus.calls import ask_stream
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.merging import CANCEL, MERGE, MERGE_REPLY, Merge, Merging
from chorus.common.contracts.models import (
    BASE,
    MANIFEST,
    SAMPLES,
    Manifest,
    ModelRecord,
    ModelVersion,
    model_key,
    parse_model,
)
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import InvalidInput, NotFound
from chorus.common.objects import ObjectStore
from chorus.gateway.commands.ports import ModelFiles


class BusModels:
    """`ports.Models`."""

    def __init__(
        self,
        connection: Connection,
        records: Bucket[ModelRecord],
        settings: Bucket[GuildSettings],
        store: ObjectStore,
    ) -> None:
        self._connection = connection
        self._records = records
        self._settings = settings
        self._store = store

    async def all(self, guild: str) -> list[ModelRecord]:
        """All of the guild's entries."""
        return [entry.value for entry in await self._records.entries(f"{guild}.")]

    # --- which one answers -----------------------------------------------------------------------
    async def voice(self, guild: str) -> str | None:
        """What the guild's settings name."""
        entry = await self._settings.get(guild)
        voice = entry.value.voice if entry else None
        return None if voice == BASE else voice

    async def use(self, guild: str, name: str, selector: str, *, force: bool = False) -> str:
        """Move `prod` to the version, then name the model as the voice: in between, the old voice answers."""
        await self._record(guild, name)
        entry = await self._records.change(
            model_key(guild, name), lambda record: _promoted(record, selector, force=force)
        )
        await self._speak_as(guild, name)
        return f"{name}@{entry.value.aliases['prod']}"

    async def rollback(self, guild: str, name: str) -> tuple[str, str]:
        """Move `prod` to `previous`, and that to where `prod` was: in one change of the entry."""
        await self._record(guild, name)
        record = (await self._records.change(model_key(guild, name), _rolled_back)).value
        return f"{name}@{record.aliases['previous']}", f"{name}@{record.aliases['prod']}"

    async def use_base(self, guild: str) -> None:
        """Name the base as the voice."""
        await self._speak_as(guild, BASE)

    async def _speak_as(self, guild: str, voice: str) -> None:
        await self._settings.change(
            guild, lambda old: old.model_copy(update={"voice": voice}), initial=GuildSettings()
        )

    async def imitates(self, guild: str, model: str) -> bool:
        """As the model's entry has it."""
        name, selector = parse_model(model)
        entry = await self._records.get(model_key(guild, name))
        return entry is not None and entry.value.imitates(selector)

    # --- to take away ----------------------------------------------------------------------------
    async def find(self, guild: str, model: str) -> ModelVersion:
        """The version in the model's entry."""
        name, selector = parse_model(model)
        return _found(await self._record(guild, name), selector)

    async def files(self, guild: str, model: str) -> ModelFiles:
        """The model's files and its documents, but for the samples: those are what people wrote.

        What is stale is not handed out: what left Chorus cannot be withdrawn any more.
        """
        version = await self.find(guild, model)
        called = f"{parse_model(model)[0]}@{version.tag}"
        if version.stale is not None:
            raise NotFound(
                f"{called} is not handed out: words that it learned from were deleted on request.",
                code="model_withdrawn",
                param="model",
            )
        manifest = decode(Manifest, await self._store.get(version.manifest))
        place = version.manifest.key.removesuffix(MANIFEST)
        return ModelFiles(
            called,
            {
                file.name: ObjectRef(
                    bucket=MODELS, key=f"{place}{file.name}", size=file.size, sha256=file.sha256
                )
                for file in (*manifest.files, *manifest.documents)
                if file.name != SAMPLES
            },
        )

    async def merge(self, guild: str, model: str) -> AsyncIterator[Merging | ModelFiles]:
        """The trainer's replies."""
        asked = Merge(guild=guild, model=model)
        replies = ask_stream(self._connection, MERGE, asked, MERGE_REPLY, cancel=CANCEL)
        async with aclosing(replies):  # who leaves stops it
            async for reply in replies:
                if isinstance(reply, Merging):
                    yield reply
                else:
                    yield ModelFiles(reply.model, {file.name: file.file for file in reply.files})

    async def _record(self, guild: str, name: str) -> ModelRecord:
        entry = await self._records.get(model_key(guild, name))
        if entry is None:
            raise NotFound(f"There is no model {name}. !models lists them.", code="unknown_model")
        return entry.value


def _found(record: ModelRecord, selector: str) -> ModelVersion:
    """The version that is meant; of a model of which none answers yet, the newest."""
    version = record.find(selector)
    if version is None and selector == "prod":
        version = record.find("latest")
    if version is None:
        known = ", ".join(v.tag for v in (*record.versions, *record.checkpoints))
        raise NotFound(f"{record.name} has no {selector}; it has {known}.", code="unknown_version")
    return version


def _rolled_back(record: ModelRecord) -> ModelRecord:
    if record.find("previous") is None:
        raise NotFound(
            f"No version of {record.name} answered before the one that does: there is nothing to go back to. "
            "!models lists what there is, and !use chooses.",
            code="nothing_to_roll_back",
            param="model",
        )
    return _promoted(record, "previous", force=True)  # whoever let it answer before knew how it does


def _promoted(record: ModelRecord, selector: str, *, force: bool) -> ModelRecord:
    version = _found(record, selector)
    called = f"{record.name}@{version.tag}"
    if version.is_blocked(now()):
        raise NotFound(
            f"{called} does not answer any more: words that it learned from were "
            "deleted on request. Train a new version: `!train data=NAME`.",
            code="model_withdrawn",
        )
    if version.label is not None:
        raise InvalidInput(
            f"{called} is a checkpoint: `!ask … model={called}` asks it, and only versions become the voice.",
            code="not_a_version",
            param="model",
        )
    if version.parity is not None and version.parity.verdict == "differs" and not force:
        raise InvalidInput(
            f"{called} is held back: {version.parity.reason}. Train it anew, or have it answer all the same: "
            f"`!use {called} force=yes`.",
            code="parity_failed",
            param="model",
        )
    return record.promote(version.version)
