"""Publishing what was trained: files first, manifest last, then the entry that makes it findable.

    manifest_of → upload            bytes that nobody finds
    announce                        a version, `latest`, and `3-final` beside it
    promote                         after the parity check: its verdict, and perhaps the guild's voice
    snapshot                        while the job runs: weights of an epoch, by their label

A key holds the manifest's own hash, so that nothing is ever overwritten, and what a lost worker had
uploaded already does no harm: nobody finds it. All of it may be done twice, by whoever has the job next.
"""

import hashlib
from pathlib import Path

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import (
    LOSSES,
    MANIFEST,
    MODEL_CARD,
    SAMPLES,
    AdapterFile,
    Manifest,
    ModelRecord,
    ModelVersion,
    Parity,
    model_key,
)
from chorus.common.contracts.names import LOCAL
from chorus.common.contracts.storage import MODELS, ObjectRef
from chorus.common.contracts.training import Committed, TrainJob
from chorus.common.contracts.wire import encode, now
from chorus.common.objects import ObjectStore, file_sha256
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.report import Made

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
DOCUMENTS = (LOSSES, SAMPLES, MODEL_CARD)
SNAPSHOTS_KEPT = 3  # of one model


def manifest_of(job: TrainJob, made: Made, folder: Path, made_from: Materials, documents: Path) -> Manifest:
    """Everything that the serving side will check, over the files of `folder`; reads and hashes them all.

    `documents` is the folder of what people read; what is not there is left out.
    """
    return Manifest(
        guild=job.guild,
        name=job.model,
        base=made.base,
        method=made.method,
        form=made.form,
        rank=made.rank,
        chat_template_sha256=made.chat_template_sha256,
        eos_token_ids=made.eos_token_ids,
        probes=made.probes,
        files=[_described(path) for path in _model_files(folder, made.form)],
        documents=[_described(documents / name) for name in DOCUMENTS if (documents / name).is_file()],
        datasets=[learned.dataset for learned in job.data],
        contributors=made_from.contributors,
        parent=job.parent.model if job.parent else None,
        imitates=made_from.imitates(job),
        step=made.step,
        evaluation=made.evaluation,
        benchmarks=made.benchmarks,
        hyperparameters=made.hyperparameters,
        job=job.job,
        created_at=now(),
    )


def _model_files(folder: Path, form: str) -> list[Path]:
    """An adapter's two files; of a whole model all, but those that are called as a document is."""
    if form == "adapter":
        return [folder / name for name in ADAPTER_FILES]
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name not in DOCUMENTS)


def _described(path: Path) -> AdapterFile:
    return AdapterFile(name=path.name, size=path.stat().st_size, sha256=file_sha256(path))


async def upload(store: ObjectStore, manifest: Manifest, folder: Path, documents: Path) -> ObjectRef:
    """Put the files, then the manifest; a manifest that is there means that all of it is there."""
    data = encode(manifest)
    place = f"{manifest.guild}/{manifest.name}/{hashlib.sha256(data).hexdigest()}"
    for file in manifest.files:
        await store.put_file(MODELS, f"{place}/{file.name}", folder / file.name)
    for file in manifest.documents:
        await store.put_file(MODELS, f"{place}/{file.name}", documents / file.name)
    return await store.put(MODELS, f"{place}/{MANIFEST}", data)


def document_of(manifest: Manifest, ref: ObjectRef, name: str) -> ObjectRef | None:
    """Where one of a stored model's documents lies: `LOSSES`, `SAMPLES` or `MODEL_CARD`."""
    found = next((file for file in manifest.documents if file.name == name), None)
    if found is None:
        return None
    key = f"{ref.key.removesuffix(MANIFEST)}{name}"
    return ObjectRef(bucket=MODELS, key=key, size=found.size, sha256=found.sha256)


async def discard(store: ObjectStore, manifest: ObjectRef) -> None:
    """Delete the files of a model that nobody will know of."""
    folder = manifest.key.removesuffix(MANIFEST)
    await store.delete(MODELS, (found.key for found in await store.list(MODELS, folder)))


async def succession(settings: Bucket[GuildSettings], guild: str) -> tuple[str | None, bool]:
    """The guild's voice, and whether a new version takes its place at once.

    It does where the guild's policy says so, and on one's own machine where nothing else answers yet. On
    Discord people are asked of their first model, too: it takes the base's place.
    """
    chosen = await settings.get(guild)
    policy = chosen.value if chosen else GuildSettings()
    is_first = guild == LOCAL and policy.voice is None
    return policy.voice, is_first or policy.promotes(guild) == "auto"


# --- the version, and what becomes of it ---------------------------------------------------------
async def announce(models: Bucket[ModelRecord], manifest: Manifest, committed: Committed) -> int:
    """Add the version to the model's record as its `latest`; returns its number.

    A job has one version. Where the model that it had stored was damaged, and trained anew, that one takes
    the old one's place, under the same number.
    """
    entry = await models.change(
        model_key(manifest.guild, manifest.name),
        lambda old: _with_version(old, manifest, committed),
        initial=_empty(manifest),
    )
    return next(v.version for v in entry.value.versions if v.job == manifest.job)


def _with_version(old: ModelRecord, manifest: Manifest, committed: Committed) -> ModelRecord:
    before = next((version for version in old.versions if version.job == manifest.job), None)
    if before is not None and before.manifest == committed.manifest:
        return old
    number = before.version if before else max((v.version for v in old.versions), default=0) + 1
    entry = _entry(manifest, committed.manifest, number)
    checkpoints = [each for each in old.checkpoints if each.label != f"{number}-final"]
    if committed.final:
        checkpoints.append(_entry(manifest, committed.final, number, label=f"{number}-final"))
    changes: dict[str, object] = {"checkpoints": checkpoints}
    if before:
        changes["versions"] = [entry if each is before else each for each in old.versions]
    else:
        changes |= {"versions": [*old.versions, entry], "aliases": {**old.aliases, "latest": number}}
    return old.model_copy(update=changes)


async def promote(
    models: Bucket[ModelRecord],
    settings: Bucket[GuildSettings],
    manifest: Manifest,
    committed: Committed,
    parity: Parity,
) -> bool:
    """Keep the verdict on a version, and make it what answers, if it may; returns whether it does.

    It may if it was committed so, or if the model has no other version that answers; not if it answers
    otherwise than it was taught, not if somebody's words that it learned from were deleted, and not if it
    is a whole model, which needs an engine of its own. The verdict is written once, with the alias: so the
    second time, a choice that was made meanwhile stays.
    """
    may = parity.verdict != "differs" and manifest.form == "adapter"

    def judged(old: ModelRecord) -> ModelRecord:
        version = next((v for v in old.versions if v.job == manifest.job), None)
        if version is None or version.parity is not None:
            return old
        versions = [v.model_copy(update={"parity": parity}) if v is version else v for v in old.versions]
        new = old.model_copy(update={"versions": versions})
        wanted = committed.promote or "prod" not in old.aliases
        return new.promote(version.version) if may and version.stale is None and wanted else new

    entry = await models.change(model_key(manifest.guild, manifest.name), judged, initial=_empty(manifest))
    fresh = any(v.job == manifest.job and v.stale is None for v in entry.value.versions)
    if may and fresh and committed.promote:
        await _speak_as(settings, manifest, committed.voice_before)
    chosen = await settings.get(manifest.guild)
    answers = entry.value.find("prod")
    return (
        answers is not None
        and answers.job == manifest.job
        and chosen is not None
        and chosen.value.voice == manifest.name
    )


async def _speak_as(settings: Bucket[GuildSettings], manifest: Manifest, before: str | None) -> None:
    """Name the model as the guild's voice, unless another one was chosen meanwhile."""

    def succeeded(old: GuildSettings) -> GuildSettings:
        return old.model_copy(update={"voice": manifest.name}) if old.voice == before else old

    await settings.change(manifest.guild, succeeded, initial=GuildSettings())


# --- while the job runs --------------------------------------------------------------------------
async def snapshot(
    models: Bucket[ModelRecord],
    store: ObjectStore,
    manifest: Manifest,
    ref: ObjectRef,
    epoch: int,
    kept: int = SNAPSHOTS_KEPT,
) -> str:
    """Add uploaded weights to the model's checkpoints as `<job>-<epoch>`; returns that label.

    Of the model's snapshots the oldest beyond `kept` are deleted; the `3-final` of a version stays, and so
    does what this job goes on from. An epoch that was reached a second time, after a worker was lost, keeps
    what was there.
    """
    label = f"{manifest.job}-{epoch}"
    gone: list[ObjectRef] = []

    def added(old: ModelRecord) -> ModelRecord:
        gone.clear()
        if any(checkpoint.label == label for checkpoint in old.checkpoints):
            if ref not in (checkpoint.manifest for checkpoint in old.checkpoints):
                gone.append(ref)
            return old
        checkpoints = [*old.checkpoints, _entry(manifest, ref, epoch, label=label)]
        snapshots = [each for each in checkpoints if each.label == f"{each.job}-{each.version}"]
        dropped = [each for each in snapshots[:-kept] if f"{old.name}@{each.tag}" != manifest.parent]
        gone.extend(each.manifest for each in dropped)
        left = [each for each in checkpoints if each not in dropped]
        return old.model_copy(update={"checkpoints": left})

    await models.change(model_key(manifest.guild, manifest.name), added, initial=_empty(manifest))
    for old in gone:
        await discard(store, old)
    return label


def _entry(manifest: Manifest, ref: ObjectRef, number: int, label: str | None = None) -> ModelVersion:
    return ModelVersion(
        version=number,
        manifest=ref,
        label=label,
        form=manifest.form,
        base=manifest.base,
        imitates=manifest.imitates,
        dataset=", ".join(manifest.datasets),
        job=manifest.job,
        created_at=manifest.created_at,
    )


def _empty(manifest: Manifest) -> ModelRecord:
    return ModelRecord(guild=manifest.guild, name=manifest.name, versions=[], aliases={})
