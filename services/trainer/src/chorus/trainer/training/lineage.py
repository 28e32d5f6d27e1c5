"""What a model was made of must still be there: somebody may have had their words deleted meanwhile.

A deletion withdraws dataset versions first, and then marks the models that learned from them. A job looks
before it trains, with each checkpoint, and before it commits or shows anything; and once more when its model
is known, because a deletion that came in between has not found it.
"""

from dataclasses import dataclass

from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import FORGOTTEN, Dataset, DatasetRecord, dataset_key
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    Manifest,
    ModelRecord,
    ModelVersion,
    Stale,
    model_key,
    parse_model,
)
from chorus.common.contracts.training import TrainJob
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput


@dataclass(frozen=True)
class Lineage:
    """Where it is kept what models are made of."""

    datasets: Bucket[DatasetRecord]
    models: Bucket[ModelRecord]
    settings: Bucket[GuildSettings]

    async def check(self, job: TrainJob) -> None:
        """Raise `InvalidInput` if any of the job's data, or the version it goes on from, is gone."""
        if (refusal := await self.refusal(job)) is not None:
            raise refusal

    async def refusal(self, job: TrainJob) -> InvalidInput | None:
        """Why a job may not go on, if it may not: `dataset_withdrawn`, `model_withdrawn`, `parent_gone`."""
        for learned in job.data:
            dataset = await self._dataset(job.guild, learned.dataset)
            if dataset is not None and dataset.withdrawn:
                return InvalidInput(
                    f"The data {learned.dataset} is gone: {dataset.withdrawn}. Train on a newer version: "
                    f"!train data={dataset.name}.",
                    code="dataset_withdrawn",
                    param="dataset",
                )
        return await self._refusal_of(job.guild, job.parent.model) if job.parent else None

    async def _refusal_of(self, guild: str, parent: str) -> InvalidInput | None:
        """A parent that is gone is refused as well: nobody could say any more whose words are in it."""
        version = await self._version(guild, parent)
        if version is None:
            return InvalidInput(
                f"The model {parent} is not there any more: of what a running job shows, only the newest is "
                "kept. Go on from another version, or from the base.",
                code="parent_gone",
                param="parent",
            )
        if version.stale is not None:
            return InvalidInput(
                f"The model {parent} is withdrawn: somebody whose words it learned from had them deleted. "
                "Go on from another version, or from the base.",
                code="model_withdrawn",
                param="parent",
            )
        return None

    async def data_of(self, job: TrainJob) -> list[Dataset]:
        """The versions that a job learns from, as far as they are still listed."""
        found = [await self._dataset(job.guild, learned.dataset) for learned in job.data]
        return [dataset for dataset in found if dataset is not None]

    async def pass_on(self, manifest: Manifest) -> None:
        """Mark a model that was just published, if words that it learned from were deleted meanwhile."""
        stale = await self._went_stale(manifest)
        if stale is not None:
            await self.models.change(
                model_key(manifest.guild, manifest.name), lambda old: old.marked(stale, {manifest.job})
            )

    async def _went_stale(self, manifest: Manifest) -> Stale | None:
        if manifest.parent is not None:
            parent = await self._version(manifest.guild, manifest.parent)
            if parent is not None and parent.stale is not None:
                return parent.stale
        made_of = [await self._dataset(manifest.guild, name) for name in manifest.datasets]
        if not any(dataset is not None and dataset.withdrawn == FORGOTTEN for dataset in made_of):
            return None
        chosen = await self.settings.get(manifest.guild)
        within = (chosen.value if chosen else GuildSettings()).forget_within
        return Stale(since=now(), blocked_at=now() + within)

    async def _dataset(self, guild: str, dataset: str) -> Dataset | None:
        name, _, version = dataset.partition("@")
        entry = await self.datasets.get(dataset_key(guild, name))
        return entry.value.find(int(version)) if entry and version.isdigit() else None

    async def _version(self, guild: str, model: str) -> ModelVersion | None:
        name, selector = parse_model(model)
        entry = await self.models.get(model_key(guild, name))
        return entry.value.find(selector) if entry else None
