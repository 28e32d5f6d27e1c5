"""Which models there are: the bucket `models`, followed as it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import structlog

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.models import BASE, ModelRecord, ModelVersion, model_key, parse_model
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, NotFound, in_short

SWEEP_EVERY = 60.0  # seconds; a deletion brings no news, and neither does a deadline that passes

Result = TypeVar("Result")

log = structlog.get_logger()


class Found(NamedTuple):
    """A version that may answer."""

    name: str
    """`name@version`."""
    version: ModelVersion


class Known(NamedTuple):
    """What a manifest's hash stands for."""

    guild: str
    name: str
    """`name@version`."""
    form: Literal["adapter", "whole"]


OnNews = Callable[[ModelRecord], None]
Keep = Callable[[Mapping[str, Known]], None]


class Catalogue:
    """The newest record of each model that was heard of."""

    def __init__(self, bucket: Bucket[ModelRecord]) -> None:
        self._bucket = bucket
        self._records: dict[str, Entry[ModelRecord]] = {}

    async def follow(self, on_news: OnNews, keep: Keep) -> None:
        """Keep up with the bucket, for ever.

        `on_news` is told of each record that changes, not of those there at the start. `keep` is told, by
        the hashes of their manifests, of all versions that may still answer, whenever that may have
        changed: nothing of any other one may stay on this machine.
        """
        await self._reread()
        keep(self._permitted())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(on_news, keep), name="hear of models")
            group.create_task(self._sweep(keep), name="sweep models")

    async def choices(self, guild: str, model: str | None) -> list[Found]:
        """Who may answer when `model` is asked, the one that is meant first; none is the base model.

        A name alone means `prod`, and where that cannot answer, the adapter that was `prod` before stands in
        for it. Who names a version gets that version or an error. Raises `NotFound` when the guild has no
        such model, or it may not answer any more. What was not heard of is looked up, so that a question
        right after a training finds it.
        """
        if model is None or model == BASE:
            return []
        name, selector = parse_model(model)
        meant = await self._version(guild, name, selector)
        versions = [meant]
        if model == name and meant.form == "adapter":
            before = self._records[model_key(guild, name)].value.find("previous")
            versions += [before] if before is not None and before.form == "adapter" else []
        found = [Found(f"{name}@{each.tag}", each) for each in versions if not each.is_blocked(now())]
        if not found:
            raise NotFound(
                f"{name}@{meant.tag} does not answer any more: words that it learned from were deleted on "
                "request. Train it anew, or choose another model with !use.",
                code="model_withdrawn",
                param="model",
            )
        return found

    # --- inside ----------------------------------------------------------------------------------
    async def _version(self, guild: str, name: str, selector: str) -> ModelVersion:
        key = model_key(guild, name)
        if key in self._records and (known := self._records[key].value.find(selector)) is not None:
            return known
        if (entry := await self._bucket.get(key)) is None:
            self._records.pop(key, None)
            raise NotFound(
                f"There is no model {name!r} here. `!models` lists those there are.",
                code="unknown_model",
                param="model",
            )
        self._note(entry)
        version = self._records[key].value.find(selector)
        if version is None:
            raise NotFound(
                f"The model {name!r} has no {in_short(selector)!r}. `!models` lists its versions.",
                code="unknown_version",
                param="model",
            )
        return version

    async def _hear(self, on_news: OnNews, keep: Keep) -> None:
        async for entry in self._bucket.follow():
            if self._note(entry):
                keep(self._permitted())
                on_news(entry.value)

    async def _sweep(self, keep: Keep) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                await self._reread()
            except ChorusError as error:  # what is known stays known, and deadlines pass all the same
                log.warning("models not read", error=str(error))
            keep(self._permitted())

    async def _reread(self) -> None:
        """Note all records there are, and forget those that were deleted."""
        before = set(self._records)
        entries = await self._bucket.entries()
        for key in before - {entry.key for entry in entries}:
            del self._records[key]
        for entry in entries:
            self._note(entry)

    def _permitted(self) -> dict[str, Known]:
        """All that may answer at this moment, by their manifests' hashes."""
        records = [entry.value for entry in self._records.values()]
        return {
            version.manifest.sha256: Known(record.guild, f"{record.name}@{version.tag}", version.form)
            for record in records
            for version in (*record.checkpoints, *record.versions)
            if not version.is_blocked(now())
        }

    def _note(self, entry: Entry[ModelRecord]) -> bool:
        """Keep the entry if it is newer; whether it was."""
        known = self._records.get(entry.key)
        if known is not None and known.revision >= entry.revision:
            return False
        self._records[entry.key] = entry
        return True


async def first_of(choices: Sequence[Found], attempt: Callable[[Found], Awaitable[Result]]) -> Result:
    """What `attempt` makes of the first of `choices` that can be had.

    What may come right by itself is not passed over. Raises what is wrong with the first if none can be had.
    """
    wrong: list[ChorusError] = []
    for found in choices:
        try:
            return await attempt(found)
        except ChorusError as error:
            wrong.append(error)
            if error.retryable:
                break
            log.warning("model passed over", model=found.name, code=error.code)
    raise wrong[0]
