"""A guild's models and its voice: entries in the buckets `models` and `settings`."""

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import BASE, ModelRecord, model_key
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound


class BusModels:
    """`ports.Models`."""

    def __init__(self, records: Bucket[ModelRecord], settings: Bucket[GuildSettings]) -> None:
        self._records = records
        self._settings = settings

    async def all(self, guild: str) -> list[ModelRecord]:
        """All of the guild's entries."""
        return [entry.value for entry in await self._records.entries(f"{guild}.")]

    async def voice(self, guild: str) -> str | None:
        """What the guild's settings name."""
        entry = await self._settings.get(guild)
        voice = entry.value.voice if entry else None
        return None if voice == BASE else voice

    async def use(self, guild: str, name: str, selector: str) -> str:
        """Move `prod` to the version, then name the model as the voice: in between, the old voice answers."""
        key = model_key(guild, name)
        if await self._records.get(key) is None:
            raise NotFound(f"There is no model {name}. !models lists them.", code="unknown_model")
        entry = await self._records.change(key, lambda record: _promoted(record, selector))
        await self._speak_as(guild, name)
        return f"{name}@{entry.value.aliases['prod']}"

    async def use_base(self, guild: str) -> None:
        """Name the base as the voice."""
        await self._speak_as(guild, BASE)

    async def _speak_as(self, guild: str, voice: str) -> None:
        await self._settings.change(
            guild, lambda old: old.model_copy(update={"voice": voice}), initial=GuildSettings()
        )


def _promoted(record: ModelRecord, selector: str) -> ModelRecord:
    version = record.find(selector)
    if version is None:
        known = ", ".join(str(v.version) for v in record.versions)
        raise NotFound(f"{record.name} has no {selector}; it has versions {known}.", code="unknown_version")
    if version.is_blocked(now()):
        raise NotFound(
            f"{record.name}@{version.version} does not answer any more: words that it learned from were "
            "deleted on request. Train a new version: `!train data=NAME`.",
            code="model_withdrawn",
        )
    return record.promote(version.version)
