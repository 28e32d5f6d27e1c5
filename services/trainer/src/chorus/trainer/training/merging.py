"""Merging an adapter into its base for somebody who wants a whole model: in a child, then to S3 for a day."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from chorus.common.bus.state import Bucket
from chorus.common.contracts.merging import Merge, Merged, MergedFile, Merging
from chorus.common.contracts.models import (
    MANIFEST,
    BaseModelId,
    Manifest,
    ModelRecord,
    ModelVersion,
    model_key,
    parse_model,
)
from chorus.common.contracts.storage import FILES, MODELS, ObjectRef
from chorus.common.contracts.wire import Part, decode
from chorus.common.errors import InternalError, InvalidInput, NotFound
from chorus.common.objects import ObjectStore
from chorus.trainer.process import Program, child_process
from chorus.trainer.scratch import scratch
from chorus.trainer.training.report import Failed, Stage

MERGED = "merged"
"""Folder in the bucket `files`. What lies there is deleted after a day."""

Tell = Callable[[Merging], Awaitable[None]]


class MergeOrder(Part):
    """What to merge, by folders on this machine's disk."""

    bases: list[str]
    """Names of the operator's base models, as `base_model.find` takes them."""
    base: BaseModelId
    """The one of them that the adapter is for."""
    adapter: str
    out: str
    """Empty folder for the whole model."""


class Done(Part):
    """The whole model lies in its folder."""

    kind: Literal["done"] = "done"


Report = Stage | Done | Failed
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])
PROGRAM = Program("merger", "merging", REPORT, (Done, Failed))


def merged_files(guild: str, manifest: ObjectRef) -> str:
    """Where the whole model of a version is kept, in the bucket `files`."""
    return f"{guild}/{MERGED}/{manifest.sha256}/"


class Merger:
    """Merges one after the other: each takes as much memory as its base."""

    def __init__(
        self, models: Bucket[ModelRecord], store: ObjectStore, bases: Sequence[str], folder: Path
    ) -> None:
        self._models = models
        self._store = store
        self._bases = bases
        self._folder = folder
        self._one_at_a_time = asyncio.Lock()

    async def merge(self, asked: Merge, tell: Tell) -> Merged:
        """Merge, and store what comes of it. Raises `NotFound`, or `InvalidInput` where that cannot be."""
        name, version = await self._find(asked)
        async with self._one_at_a_time, scratch(self._folder, "merge-") as folder:
            out = await self._merged(version, folder, tell)
            await tell(Merging(stage="storing"))
            place = merged_files(asked.guild, version.manifest)
            files = [
                MergedFile(name=path.name, file=await self._store.put_file(FILES, place + path.name, path))
                for path in await asyncio.to_thread(lambda: sorted(out.iterdir()))
            ]
        try:
            await self._find(asked)
        except NotFound:  # deleted meanwhile
            await self._store.delete(FILES, (file.file.key for file in files))
            raise
        return Merged(model=name, files=files)

    async def _find(self, asked: Merge) -> tuple[str, ModelVersion]:
        """The version, if it may still be handed out."""
        name, selector = parse_model(asked.model)
        entry = await self._models.get(model_key(asked.guild, name))
        version = entry.value.find(selector) if entry else None
        if version is None:
            raise NotFound(f"There is no model {asked.model}.", code="unknown_model", param="model")
        called = f"{name}@{version.tag}"
        if version.stale is not None:
            raise NotFound(
                f"{called} is not handed out: words that it learned from were deleted on request.",
                code="model_withdrawn",
                param="model",
            )
        if version.form == "whole":
            raise InvalidInput(
                f"{called} is a whole model already: `chorus models export {called} --to FOLDER`.",
                code="whole_model",
                param="model",
            )
        return called, version

    async def _merged(self, version: ModelVersion, folder: Path, tell: Tell) -> Path:
        """Fetch the adapter, and have the child merge it; returns the whole model's folder."""
        await tell(Merging(stage="fetching the adapter"))
        adapter, out = folder / "adapter", folder / "whole"
        for each in (adapter, out):
            await asyncio.to_thread(each.mkdir)
        manifest = decode(Manifest, await self._store.get(version.manifest))
        for file in manifest.files:
            key = f"{version.manifest.key.removesuffix(MANIFEST)}{file.name}"
            ref = ObjectRef(bucket=MODELS, key=key, size=file.size, sha256=file.sha256)
            await self._store.get_file(ref, adapter / file.name)
        order = MergeOrder(bases=list(self._bases), base=manifest.base, adapter=str(adapter), out=str(out))
        await merge_in_child(order, folder, lambda text: tell(Merging(stage=text)))
        return out


async def merge_in_child(
    order: MergeOrder, folder: Path, tell: Callable[[str], Awaitable[None]] | None = None
) -> None:
    """Merge as the order says. Raises `InvalidInput` for what cannot be merged; `folder` is for the order."""
    async with child_process(PROGRAM, order, folder) as child:
        async for report in child.reports():
            match report:
                case Stage(text=text):
                    if tell is not None:
                        await tell(text)
                case Failed(code=code, message=message):
                    raise InvalidInput(message, code=code)
                case Done():
                    return
    raise InternalError("The merging process ended without a result.")
