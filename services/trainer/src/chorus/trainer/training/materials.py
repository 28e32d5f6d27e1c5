"""What a training is made from, fetched and checked: its data, and the version that it goes on from."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chorus.common import base_model
from chorus.common.contracts.datasets import Example
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.models import MANIFEST, BaseModelId, Manifest
from chorus.common.contracts.storage import DATASETS, MODELS, ObjectRef
from chorus.common.contracts.training import Parent, TrainJob
from chorus.common.contracts.wire import decode
from chorus.common.errors import NotPermitted
from chorus.common.objects import ObjectStore
from chorus.common.patience import patiently
from chorus.trainer.training.refusals import other_base, unknown_base


@dataclass(frozen=True)
class Materials:
    """By files and folders on this machine's disk."""

    base: str
    """Name of the base model, as the operator wrote it."""
    examples: list[Path]
    parent: Path | None
    """Folder of the version that it goes on from."""
    contributors: list[str]
    """Everybody whose words it will have learned from."""
    before: Manifest | None = None
    """Of the version that it goes on from."""

    def imitates(self, job: TrainJob) -> bool:
        """Whether what comes of the job answers as one person would: any of its data, or what came before."""
        before = self.before is not None and self.before.imitates
        return before or any(learned.imitates for learned in job.data)

    @property
    def whole_parent(self) -> Path | None:
        """Folder of the whole model that it goes on from, where it is one: it takes the base's place."""
        return self.parent if self.before is not None and self.before.form == "whole" else None

    def wishes(self, job: TrainJob) -> Hyperparameters:
        """Those of the job; an adapter that it goes on from keeps its rank and its scale."""
        wishes, before = job.hyperparameters, self.before
        if before is None or before.form == "whole":
            return wishes
        kept = {"rank": before.rank, "alpha": before.hyperparameters.get("alpha")}
        return wishes.model_copy(
            update={name: was for name, was in kept.items() if was and getattr(wishes, name) == "auto"}
        )


async def fetch(store: ObjectStore, job: TrainJob, bases: Sequence[str], folder: Path) -> Materials:
    """Fetch all of it. Raises `InvalidInput` for a base that is not in `bases`, or not the parent's.

    Raises `NotPermitted` for what is not the guild's, and `NotFound` or `CorruptObject` for what is gone.
    """
    chosen = _chosen(job.base, bases)
    files: list[Path] = []
    for number, learned in enumerate(job.data):
        if not learned.examples.belongs_to(job.guild, DATASETS):
            raise NotPermitted("This data belongs to another guild.", code="other_guild", param="data")
        files.append(folder / f"examples-{number}.jsonl")
        await patiently(store.get_file)(learned.examples, files[-1])
    people = await asyncio.to_thread(_contributors, files)
    if job.parent is None:
        return Materials(chosen, files, None, sorted(people))
    manifest = await _manifest(store, job.guild, job.parent)
    base = await asyncio.to_thread(_base_of, job, manifest, [chosen] if job.base else bases)
    parent = folder / "parent"
    await _fetch_model(store, job.parent.manifest, manifest, parent)
    return Materials(base, files, parent, sorted(people.union(manifest.contributors)), manifest)


def _chosen(base: str | None, bases: Sequence[str]) -> str:
    """What the operator calls the base that people call so; the default comes first."""
    for name in bases:
        if base in {None, name, base_model.shown_name(name)}:
            return name
    raise unknown_base(base or "", map(base_model.shown_name, bases))


def _contributors(files: Sequence[Path]) -> set[str]:
    people: set[str] = set()
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                people.update(Example.model_validate_json(line).contributors)
    return people


async def _manifest(store: ObjectStore, guild: str, parent: Parent) -> Manifest:
    if not parent.manifest.belongs_to(guild, MODELS):
        raise NotPermitted(
            f"The model {parent.model} belongs to another guild.", code="other_guild", param="parent"
        )
    return decode(Manifest, await patiently(store.get)(parent.manifest))


def named(base: BaseModelId, bases: Sequence[str]) -> str | None:
    """What the operator calls this base model, if it is one of theirs; reads its files, or fetches them."""
    for name in bases:
        if base.name == base_model.shown_name(name) and base_model.find(name).id == base:
            return name
    return None


def _base_of(job: TrainJob, manifest: Manifest, bases: Sequence[str]) -> str:
    """The base to train: the parent's, which must be one of the operator's."""
    name = named(manifest.base, bases)
    if name is None:
        raise other_base(manifest.name, manifest.base.name, job.base)
    return name


async def _fetch_model(store: ObjectStore, ref: ObjectRef, manifest: Manifest, folder: Path) -> None:
    await asyncio.to_thread(folder.mkdir)
    for file in manifest.files:
        key = f"{ref.key.removesuffix(MANIFEST)}{file.name}"
        described = ObjectRef(bucket=MODELS, key=key, size=file.size, sha256=file.sha256)
        await patiently(store.get_file)(described, folder / file.name)
