"""The work of one job: train and store, commit, publish.

    examples → child process → adapter in S3 → commit → version of the model, perhaps the guild's voice

Until the commit nothing is known outside, and the job can be cancelled or taken over. After it, any worker
can end the job, and nothing is trained again.
"""

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import DatasetRecord, Example
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import Manifest, ModelRecord
from chorus.common.contracts.storage import DATASETS
from chorus.common.contracts.training import Committed, Hyperparameters, JobResult, TrainJob
from chorus.common.contracts.wire import decode
from chorus.common.errors import Cancelled, ChorusError, InternalError, InvalidInput, NotPermitted
from chorus.common.objects import ObjectStore
from chorus.common.patience import patiently
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.lineage import stale_if_withdrawn, still_there
from chorus.trainer.training.process import training_process
from chorus.trainer.training.publish import announce, discard, manifest_of, succession, upload
from chorus.trainer.training.recipe import DEFAULT_RANK
from chorus.trainer.training.report import Failed, Order, Stage, Step, Trained


@dataclass(frozen=True)
class Stores:
    """Where datasets, models, what guilds chose, and bytes are kept."""

    datasets: Bucket[DatasetRecord]
    models: Bucket[ModelRecord]
    settings: Bucket[GuildSettings]
    objects: ObjectStore


class Training:
    """Trains on one base model, one job after the other."""

    def __init__(
        self, stores: Stores, metrics: TrainerMetrics, *, base: str, max_rank: int, folder: Path
    ) -> None:
        self._stores = stores
        self._metrics = metrics
        self._base = base
        self._max_rank = max_rank
        self._folder = folder

    async def run(self, journal: Journal) -> JobResult:
        """Train and store, commit, publish. What was committed by an earlier attempt is only published."""
        if (committed := journal.record.committed) is None:
            committed = await self._train(journal, journal.record.job)
            try:
                await journal.commit(committed)
            except Cancelled:  # nobody will ever find it
                with suppress(ChorusError):
                    await patiently(discard)(self._stores.objects, committed.manifest)
                raise
        return await self._publish(committed)

    async def _train(self, journal: Journal, job: TrainJob) -> Committed:
        """From the data to a stored adapter that nobody knows of yet."""
        self._check(job)
        await patiently(still_there)(self._stores.datasets, job)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=f"{job.job}-") as name:
            folder = Path(name)
            await journal.stage("fetching the data")
            examples = folder / "examples.jsonl"
            await patiently(self._stores.objects.get_file)(job.examples, examples)
            out = folder / "adapter"
            out.mkdir()
            order = Order(
                base=self._base, examples=str(examples), out=str(out), hyperparameters=self._chosen(job)
            )
            trained = await self._follow(journal, order, folder)
            await journal.stage("publishing")
            people = await asyncio.to_thread(_contributors, examples)
            manifest = await asyncio.to_thread(manifest_of, job, trained, out, people)
            await patiently(still_there)(self._stores.datasets, job)
            ref = await patiently(upload)(self._stores.objects, manifest, out)
        voice, promote = await patiently(succession)(self._stores.settings, job.guild)
        return Committed(
            manifest=ref, steps=trained.steps, seconds=trained.seconds, voice_before=voice, promote=promote
        )

    async def _publish(self, committed: Committed) -> JobResult:
        """Make the stored model a version. Twice is once, so whoever holds the job next may do it again."""
        data = await patiently(self._stores.objects.get)(committed.manifest)
        manifest = decode(Manifest, data)
        version = await patiently(announce)(self._stores.models, self._stores.settings, manifest, committed)
        await patiently(stale_if_withdrawn)(
            self._stores.datasets, self._stores.models, self._stores.settings, manifest
        )
        return JobResult(
            model=f"{manifest.name}@{version}",
            in_use=committed.promote,
            loss_before=manifest.evaluation.loss_before,
            loss_after=manifest.evaluation.loss_after,
            held_out=manifest.evaluation.held_out,
            steps=committed.steps,
            seconds=committed.seconds,
        )

    def _chosen(self, job: TrainJob) -> Hyperparameters:
        """What was wished for; a rank of our own choice is one that is served."""
        wishes = job.hyperparameters
        return wishes.model_copy(update={"rank": wishes.rank or min(DEFAULT_RANK, self._max_rank)})

    def _check(self, job: TrainJob) -> None:
        """What could not be served, or is not this guild's, is refused before it costs an hour."""
        if job.base not in {None, self._base}:
            raise InvalidInput(
                f"This Chorus trains on {self._base!r}, not on {job.base!r}.",
                code="unknown_base",
                param="base",
            )
        if (job.hyperparameters.rank or 0) > self._max_rank:
            raise InvalidInput(
                f"Adapters of rank {job.hyperparameters.rank} are not served here: at most {self._max_rank}.",
                code="rank_too_high",
                param="rank",
            )
        if not job.examples.belongs_to(job.guild, DATASETS):
            raise NotPermitted("This data belongs to another guild.", code="other_guild")

    async def _follow(self, journal: Journal, order: Order, folder: Path) -> Trained:
        """Run the child to its end, and pass on what it tells."""
        async with training_process(order, folder) as process:
            async for report in process.reports():
                match report:
                    case Stage(text=text):
                        await journal.stage(text)
                    case Step(progress=progress):
                        self._metrics.stepped(progress)
                        await journal.progress(progress)
                    case Failed(code=code, message=message):
                        raise InvalidInput(message, code=code)
                    case Trained():
                        return report
        raise InternalError("The training process ended without a result.")


def _contributors(path: Path) -> list[str]:
    """Everybody whose words are in the data."""
    with path.open("rb") as lines:
        return sorted({who for line in lines for who in Example.model_validate_json(line).contributors})
