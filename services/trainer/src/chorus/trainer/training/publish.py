"""Publishing a trained adapter: files first, manifest last, then the entry that makes it findable.

A key holds the adapter's own hash, so that nothing is ever overwritten, and what a lost worker had
uploaded already does no harm: nobody finds it.
"""

import hashlib
from pathlib import Path

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    MANIFEST,
    AdapterFile,
    Manifest,
    ModelRecord,
    ModelVersion,
    model_key,
)
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.training import Committed, TrainJob
from chorus.common.contracts.wire import encode, now
from chorus.common.objects import ObjectStore, file_sha256
from chorus.trainer.training.report import Trained

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def manifest_of(job: TrainJob, trained: Trained, folder: Path, contributors: list[str]) -> Manifest:
    """Everything that the serving side will check."""
    paths = [folder / name for name in ADAPTER_FILES]
    return Manifest(
        guild=job.guild,
        name=job.model,
        base=trained.base,
        method="lora",
        rank=trained.rank,
        chat_template_sha256=trained.chat_template_sha256,
        eos_token_ids=trained.eos_token_ids,
        probes=trained.probes,
        files=[AdapterFile(name=p.name, size=p.stat().st_size, sha256=file_sha256(p)) for p in paths],
        datasets=[job.dataset],
        contributors=contributors,
        evaluation=trained.evaluation,
        hyperparameters=trained.hyperparameters,
        job=job.job,
        created_at=now(),
    )


async def upload(store: ObjectStore, manifest: Manifest, folder: Path) -> ObjectRef:
    """Put the files, then the manifest; a manifest that is there means that all of it is there."""
    data = encode(manifest)
    place = f"{manifest.guild}/{manifest.name}/{hashlib.sha256(data).hexdigest()}"
    for file in manifest.files:
        await store.put_file(MODELS, f"{place}/{file.name}", folder / file.name)
    return await store.put(MODELS, f"{place}/{MANIFEST}", data)


async def discard(store: ObjectStore, manifest: ObjectRef) -> None:
    """Delete the files of a model that nobody will know of."""
    folder = manifest.key.removesuffix(MANIFEST)
    await store.delete(MODELS, (found.key for found in await store.list(MODELS, folder)))


async def succession(settings: Bucket[GuildSettings], guild: str) -> tuple[str | None, bool]:
    """The guild's voice, and whether a new version takes its place at once.

    It does where the guild's policy says so, or where the guild has no other voice yet.
    """
    chosen = await settings.get(guild)
    policy = chosen.value if chosen else GuildSettings()
    return policy.voice, policy.voice is None or policy.promotes(guild) == "auto"


async def announce(
    models: Bucket[ModelRecord], settings: Bucket[GuildSettings], manifest: Manifest, committed: Committed
) -> int:
    """Add the version to the model's record, and make it the voice if so committed; returns its number.

    Twice is once: a job has one version, and a voice that was chosen meanwhile stays.
    """
    guild, name = manifest.guild, manifest.name
    record = ModelRecord(guild=guild, name=name, versions=[], aliases={})
    entry = await models.change(
        model_key(guild, name),
        lambda old: _with_version(old, manifest, committed.manifest, promote=committed.promote),
        initial=record,
    )
    if committed.promote:

        def succeeded(old: GuildSettings) -> GuildSettings:
            unchanged = old.voice == committed.voice_before
            return old.model_copy(update={"voice": name}) if unchanged else old

        await settings.change(guild, succeeded, initial=GuildSettings())
    return next(v.version for v in entry.value.versions if v.job == manifest.job)


def _with_version(old: ModelRecord, manifest: Manifest, ref: ObjectRef, *, promote: bool) -> ModelRecord:
    if any(version.job == manifest.job for version in old.versions):
        return old
    version = ModelVersion(
        version=max((v.version for v in old.versions), default=0) + 1,
        manifest=ref,
        base=manifest.base,
        dataset=manifest.datasets[0],
        job=manifest.job,
        created_at=manifest.created_at,
    )
    aliases = {**old.aliases, "latest": version.version}
    new = old.model_copy(update={"versions": [*old.versions, version], "aliases": aliases})
    return new.promote(version.version) if promote or "prod" not in aliases else new
