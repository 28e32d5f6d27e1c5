"""The work of one job: train and store, commit, publish.

    data, parent → child process → model in S3 → commit → version, parity, perhaps the guild's voice

Until the commit nothing is known outside but checkpoints, and the job can be paused, cancelled or taken
over. After it, any worker can end the job, and nothing is trained again.
"""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from chorus.common import base_model
from chorus.common.bus.connection import Connection
from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import DatasetRecord
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import LOSSES, MODEL_CARD, SAMPLES, Manifest, ModelRecord
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.training import Committed, JobRecord, JobResult, TrainJob
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import Cancelled, ChorusError, Misconfigured
from chorus.common.objects import ObjectStore
from chorus.common.patience import patiently
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.scratch import scratch
from chorus.trainer.settings import TrainerSettings
from chorus.trainer.training import checkpoints, materials, parity, publish
from chorus.trainer.training.attempt import Attempt
from chorus.trainer.training.gpu import Gpu, OwnGpu
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.limits import Limits
from chorus.trainer.training.lineage import Lineage
from chorus.trainer.training.materials import Materials
from chorus.trainer.training.modelcard import model_card
from chorus.trainer.training.process import Start, training_process
from chorus.trainer.training.quota import Quota
from chorus.trainer.training.recipe import DEFAULT_RANK
from chorus.trainer.training.refusals import rank_too_high
from chorus.trainer.training.report import Made, Order, Snapshot, Trained
from chorus.trainer.training.servable import is_servable, servable

OUT = "out"  # folder of what the child makes, in that of its attempt


@dataclass(frozen=True)
class Stores:
    """Where jobs, datasets, models, what guilds chose, and bytes are kept."""

    jobs: Bucket[JobRecord]
    datasets: Bucket[DatasetRecord]
    models: Bucket[ModelRecord]
    settings: Bucket[GuildSettings]
    objects: ObjectStore


class Training:
    """Does the work of jobs, one after the other or beside each other."""

    def __init__(
        self,
        connection: Connection,
        stores: Stores,
        metrics: TrainerMetrics,
        settings: TrainerSettings,
        folder: Path,
        gpu: Gpu | None = None,
        start: Start = training_process,
    ) -> None:
        """`folder` is for work in hand, `start` starts a child; the GPU is our own where none is named."""
        self._connection = connection
        self._stores = stores
        self._lineage = Lineage(stores.datasets, stores.models, stores.settings)
        self._metrics = metrics
        self._settings = settings
        self._bases = [settings.base_model, *settings.base_models]
        self._limits = Limits(settings.job_seconds, settings.price_per_hour)
        self._quota = Quota(settings.guild_seconds_per_day)
        self._folder = folder
        self._gpu = gpu or OwnGpu()
        self._start = start

    async def run(self, journal: Journal, pause: asyncio.Event) -> JobResult | None:
        """Train and store, commit, publish. What was committed by an earlier attempt is only published.

        None when it was paused, because `pause` was set: then its last checkpoint is stored.
        """
        if (committed := journal.record.committed) is None:
            committed = await self._train(journal, journal.record.job, pause)
            if committed is None:
                return None
            try:
                await journal.commit(committed)
            except Cancelled:
                await self._discard(committed)
                raise
        return await self._publish(journal, committed)

    async def forget(self, job: TrainJob) -> None:
        """Delete what only a job that goes on would need: it has ended."""
        await checkpoints.discard(self._stores.objects, job)

    # --- 1. train and store ----------------------------------------------------------------------
    async def _train(self, journal: Journal, job: TrainJob, pause: asyncio.Event) -> Committed | None:
        """From the data to a stored model that nobody knows of yet."""
        if (refused := rank_too_high(job.hyperparameters, self._settings.max_rank)) is not None:
            raise refused  # before it costs an hour
        await patiently(self._lineage.check)(job)
        await self._seconds_left(journal)  # where there are none, nothing is fetched
        async with scratch(self._folder, f"{job.job}-", alone=True) as folder:
            await journal.stage("fetching the data")
            made_from = await materials.fetch(self._stores.objects, job, self._bases, folder)
            place = folder / "attempt"

            async def attempt(stop: asyncio.Event, until: datetime | None) -> Trained | None:
                await asyncio.to_thread(_make_empty, place)
                order = self._order(job, made_from, place, await self._seconds_left(journal), until)
                return await self._attempt(journal, job, made_from).run(order, place, stop)

            trained = await self._gpu.train(journal, pause, attempt)
            if trained is None:
                return None
            await journal.stage("publishing")
            return await self._store(journal, job, trained, made_from, place)

    def _attempt(self, journal: Journal, job: TrainJob, made_from: Materials) -> Attempt:
        objects, kept = self._stores.objects, self._settings.checkpoints_kept

        async def show(snapshot: Snapshot) -> None:
            if await asyncio.to_thread(is_servable, snapshot.model, made_from):
                await self._show(journal, job, snapshot, made_from)

        return Attempt(
            journal,
            checkpoints.Checkpoints(objects, journal, self._metrics, kept=kept),
            show,
            partial(patiently(self._lineage.refusal), job),
            self._metrics,
            self._start,
        )

    async def _seconds_left(self, journal: Journal) -> float | None:
        """For this attempt. Raises `InvalidInput` where the guild has used its time up.

        What has been learned by then is published all the same: with a checkpoint, a moment is left.
        """
        record, at = journal.record, now()
        entries = await patiently(self._stores.jobs.entries)(f"{record.job.guild}.")
        jobs = [entry.value for entry in entries]
        if record.checkpoint is None and (refused := self._quota.refusal(jobs, at)) is not None:
            raise refused
        return self._limits.seconds_left(
            record.job.hyperparameters, journal.seconds, self._quota.left(jobs, at)
        )

    def _order(
        self,
        job: TrainJob,
        made_from: Materials,
        folder: Path,
        seconds_left: float | None,
        until: datetime | None = None,
    ) -> Order:
        out, saved = folder / OUT, folder / "checkpoints"
        out.mkdir()
        saved.mkdir()
        wishes = made_from.wishes(job)
        if wishes.rank == "auto":  # one that is served
            wishes = wishes.model_copy(update={"rank": min(DEFAULT_RANK, self._settings.max_rank)})
        return Order(
            base=made_from.base,
            examples=[str(path) for path in made_from.examples],
            out=str(out),
            checkpoints=str(saved),
            parent=str(made_from.parent) if made_from.parent else None,
            hyperparameters=wishes,
            checkpoint_every=self._settings.checkpoint_every,
            deterministic=self._settings.deterministic,
            seconds_left=seconds_left,
            until=until,
        )

    async def _show(self, journal: Journal, job: TrainJob, snapshot: Snapshot, made_from: Materials) -> None:
        """Make the weights of an epoch something that can be talked to, while the training goes on."""
        await patiently(self._lineage.check)(job)
        folder = Path(snapshot.folder)
        manifest = await asyncio.to_thread(
            publish.manifest_of, job, snapshot.model, folder, made_from, folder
        )
        ref = await patiently(publish.upload)(self._stores.objects, manifest, folder, folder)
        await journal.still_ours()
        label = await patiently(publish.snapshot)(
            self._stores.models, self._stores.objects, manifest, ref, snapshot.epoch
        )
        await patiently(self._lineage.pass_on)(manifest)
        await journal.shown(f"epoch {snapshot.epoch} can be talked to: {job.model}@{label}", snapshot.step)

    async def _store(
        self, journal: Journal, job: TrainJob, trained: Trained, made_from: Materials, folder: Path
    ) -> Committed:
        await patiently(self._lineage.check)(job)
        best = await self._upload(job, trained.best, "best", made_from, folder)
        final = None
        if trained.final is not None:
            final = await self._upload(job, trained.final, "final", made_from, folder)
        voice, promote = await patiently(publish.succession)(self._stores.settings, job.guild)
        return Committed(
            manifest=best,
            final=final,
            steps=trained.steps,
            seconds=journal.seconds,
            ended=trained.ended,
            voice_before=voice,
            promote=promote,
        )

    async def _upload(
        self, job: TrainJob, made: Made, name: str, made_from: Materials, folder: Path
    ) -> ObjectRef:
        """Put the weights called `name` into S3, in a form that can be served, with their documents."""
        documents = folder / OUT
        made, weights = await servable(made, documents / name, made_from, folder)
        card = model_card(job, made, await patiently(self._lineage.data_of)(job))
        await asyncio.to_thread((documents / MODEL_CARD).write_text, card, "utf-8")
        manifest = await asyncio.to_thread(publish.manifest_of, job, made, weights, made_from, documents)
        return await patiently(publish.upload)(self._stores.objects, manifest, weights, documents)

    async def _discard(self, committed: Committed) -> None:
        """Delete what nobody will ever find."""
        for ref in (committed.manifest, committed.final):
            if ref is not None:
                with suppress(ChorusError):
                    await patiently(publish.discard)(self._stores.objects, ref)

    # --- 2. publish ------------------------------------------------------------------------------
    async def _publish(self, journal: Journal, committed: Committed) -> JobResult:
        """Make the stored model a version. Twice is once, so whoever holds the job next may do it again."""
        stores = self._stores
        manifest = decode(Manifest, await patiently(stores.objects.get)(committed.manifest))
        version = await patiently(publish.announce)(stores.models, manifest, committed)
        await patiently(self._lineage.pass_on)(manifest)
        await journal.stage("comparing its answers in training and in use")
        await self._gpu.answers()
        verdict = await parity.check(
            self._connection,
            manifest,
            version,
            remembers=await asyncio.to_thread(self._remembers, manifest),
            within=self._settings.parity_within,
        )
        in_use = await patiently(publish.promote)(
            stores.models, stores.settings, manifest, committed, verdict
        )
        return JobResult(
            model=f"{manifest.name}@{version}",
            in_use=in_use,
            loss_before=manifest.evaluation.loss_before,
            loss_after=manifest.evaluation.loss_after,
            held_out=manifest.evaluation.held_out,
            steps=committed.steps,
            seconds=committed.seconds,
            ended=committed.ended,
            parity=verdict,
            losses=publish.document_of(manifest, committed.manifest, LOSSES),
            samples=publish.document_of(manifest, committed.manifest, SAMPLES),
        )

    def _remembers(self, manifest: Manifest) -> int | None:
        """How many earlier messages its base makes use of; None if nobody knows."""
        try:
            name = materials.named(manifest.base, self._bases)
        except Misconfigured:  # another worker has trained it, and this one has no such base
            return None
        return base_model.find(name).facts.remembers if name else None


def _make_empty(folder: Path) -> None:
    """Whatever an earlier attempt left there is in its checkpoints, as far as it counts."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
