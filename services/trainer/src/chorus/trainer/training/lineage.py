"""What a model was made of must still be there: somebody may have had their words deleted meanwhile.

A deletion withdraws dataset versions first, and then marks the models that learned from them. A job looks
before it trains and before it commits; and once more when its model is known, because a deletion that came
in between has not found it.
"""

from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import FORGOTTEN, Dataset, DatasetRecord, dataset_key
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import Manifest, ModelRecord, Stale, model_key
from chorus.common.contracts.training import TrainJob
from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput


async def still_there(datasets: Bucket[DatasetRecord], job: TrainJob) -> None:
    """Raise `InvalidInput` if the job's data was withdrawn."""
    dataset = await _version(datasets, job.guild, job.dataset)
    if dataset is not None and dataset.withdrawn:
        raise InvalidInput(
            f"The data {job.dataset} is gone: {dataset.withdrawn}. Train on a newer version: "
            f"!train data={dataset.name}.",
            code="dataset_withdrawn",
            param="dataset",
        )


async def stale_if_withdrawn(
    datasets: Bucket[DatasetRecord],
    models: Bucket[ModelRecord],
    settings: Bucket[GuildSettings],
    manifest: Manifest,
) -> None:
    """Mark a model that was just published, if somebody's words in its data were deleted meanwhile."""
    made_of = [await _version(datasets, manifest.guild, name) for name in manifest.datasets]
    if not any(dataset is not None and dataset.withdrawn == FORGOTTEN for dataset in made_of):
        return
    chosen = await settings.get(manifest.guild)
    within = (chosen.value if chosen else GuildSettings()).forget_within
    stale = Stale(since=now(), blocked_at=now() + within)

    def marked(old: ModelRecord) -> ModelRecord:
        return old.model_copy(
            update={
                "versions": [
                    v.model_copy(update={"stale": v.stale or stale}) if v.job == manifest.job else v
                    for v in old.versions
                ]
            }
        )

    await models.change(model_key(manifest.guild, manifest.name), marked)


async def _version(datasets: Bucket[DatasetRecord], guild: str, dataset: str) -> Dataset | None:
    name, _, version = dataset.partition("@")
    entry = await datasets.get(dataset_key(guild, name))
    return entry.value.find(int(version)) if entry and version.isdigit() else None
