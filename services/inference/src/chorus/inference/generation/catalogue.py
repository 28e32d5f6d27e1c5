"""Which models there are: the bucket `models`, followed as it changes."""

from collections.abc import Callable

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.models import (
    BASE,
    ModelRecord,
    ModelVersion,
    model_key,
    parse_model,
    refuse_whole,
)
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound

OnNews = Callable[[ModelRecord], None]


class Catalogue:
    """The newest record of each model that was heard of."""

    def __init__(self, bucket: Bucket[ModelRecord]) -> None:
        self._bucket = bucket
        self._records: dict[str, Entry[ModelRecord]] = {}

    async def follow(self, on_news: OnNews) -> None:
        """Keep up with the bucket, for ever; tell of what changes, not of what is there at the start."""
        for entry in await self._bucket.entries():
            self._note(entry)
        async for entry in self._bucket.follow():
            if self._note(entry):
                on_news(entry.value)

    async def find(self, guild: str, model: str | None) -> tuple[str, ModelVersion] | None:
        """The version that a request means, as (`name@version`, version); None is the base model.

        Raises `NotFound` when the guild has no such model, or may not use it any more, and `InvalidInput`
        when it is none to be served beside a base. What was not heard of is looked up, so that a question
        right after a training finds it.
        """
        if model is None or model == BASE:
            return None
        name, selector = parse_model(model)
        version = await self._version(model_key(guild, name), name, selector)
        found = f"{name}@{version.tag}"
        if version.is_blocked(now()):
            raise NotFound(
                f"{found} does not answer any more: words that it learned from were deleted on request. "
                "Train it anew, or choose another model with !use.",
                code="model_withdrawn",
                param="model",
            )
        if version.form == "whole":
            raise refuse_whole(found)
        return found, version

    async def _version(self, key: str, name: str, selector: str) -> ModelVersion:
        if key in self._records and (known := self._records[key].value.find(selector)) is not None:
            return known
        if (entry := await self._bucket.get(key)) is None:
            raise NotFound(f"There is no model {name!r} here.", code="unknown_model", param="model")
        self._note(entry)
        version = self._records[key].value.find(selector)
        if version is None:
            raise NotFound(f"The model {name!r} has no {selector!r}.", code="unknown_version", param="model")
        return version

    def _note(self, entry: Entry[ModelRecord]) -> bool:
        """Keep the entry if it is newer; whether it was."""
        known = self._records.get(entry.key)
        if known is not None and known.revision >= entry.revision:
            return False
        self._records[entry.key] = entry
        return True
