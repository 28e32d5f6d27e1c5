"""One job, from its message in the queue to what becomes of it.

    message → claim → fetch the data → train in a child process → publish → settle

The worker watches three things while the child trains: the child, the job's entry (somebody may have
cancelled it, or another worker may have taken it over), and its own service (which may be stopping).
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from nats.aio.msg import Msg

from chorus.common.bus import headers as h
from chorus.common.bus.claims import Claim, ClaimLost
from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, HandBack, LeaveAlone, Outcome
from chorus.common.bus.state import Bucket
from chorus.common.contracts.datasets import Example
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.models import Manifest, ModelRecord
from chorus.common.contracts.storage import DATASETS
from chorus.common.contracts.training import (
    Committed,
    Control,
    Hyperparameters,
    JobError,
    JobRecord,
    JobResult,
    JobState,
    TrainJob,
    job_key,
)
from chorus.common.contracts.wire import decode, now
from chorus.common.errors import (
    Cancelled,
    ChorusError,
    Conflict,
    InternalError,
    InvalidInput,
    NotPermitted,
)
from chorus.common.objects import ObjectStore
from chorus.common.patience import patiently
from chorus.common.telemetry.logging import bind
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.process import training_process
from chorus.trainer.training.publish import announce, manifest_of, succession, upload
from chorus.trainer.training.queue import withdraw
from chorus.trainer.training.recipe import DEFAULT_RANK
from chorus.trainer.training.report import Failed, Order, Stage, Step, Trained

ATTEMPTS = 3  # without progress, then the job is given up
LOOK_EVERY = 5.0  # seconds between looks at the entry while the child trains
RETRY_AFTER = 2.0  # seconds, doubled with each attempt

log = structlog.get_logger()


@dataclass(frozen=True)
class Stores:
    """Where jobs, models and their bytes are kept."""

    jobs: Bucket[JobRecord]
    models: Bucket[ModelRecord]
    settings: Bucket[GuildSettings]
    objects: ObjectStore


class JobRunner:
    """Runs one job after the other for one worker."""

    def __init__(
        self,
        connection: Connection,
        stores: Stores,
        metrics: TrainerMetrics,
        *,
        worker: str,
        base: str,
        max_rank: int,
        folder: Path,
    ) -> None:
        self._connection = connection
        self._stores = stores
        self._metrics = metrics
        self._worker = worker
        self._base = base
        self._max_rank = max_rank
        self._folder = folder
        self._look: dict[str, asyncio.Event] = {}

    async def on_control(self, message: Msg) -> None:
        """Somebody has cancelled a job: if we run it, look at its entry now; if nobody does, withdraw it."""
        job = message.subject.rsplit(".", 1)[-1]
        if (look := self._look.get(job)) is not None:
            look.set()
            return
        try:
            asked = decode(Control, message.data)
            entry = await self._stores.jobs.get(job_key(asked.guild, job))
        except ChorusError as error:  # the fast path only; a worker that meets the message sees the entry
            log.warning("control not understood", job=job, error=error.message)
            return
        if entry is not None and entry.value.state is JobState.CANCELLED:
            await withdraw(self._connection, asked.guild, job)

    async def handle(self, delivery: Delivery) -> Outcome:
        """What becomes of one message."""
        try:
            job = decode(TrainJob, delivery.data)
        except InvalidInput as error:
            await self._give_up(delivery, error.message)
            return Done()
        with bind(job=job.job, guild=job.guild):
            claim = await self._claim(job)
            if claim is None:
                return Done()
            journal = Journal(self._connection, claim)
            try:
                return await self._run_claimed(journal, claim, delivery)
            except ClaimLost:
                log.warning("claim lost; another worker has the job")
                return LeaveAlone()

    # --- 1. claim --------------------------------------------------------------------------------
    async def _claim(self, job: TrainJob) -> Claim[JobRecord] | None:
        """Take the job's entry, unless it has ended. A message from elsewhere gets its entry here."""
        first = JobRecord(state=JobState.QUEUED, job=job, updated_at=now())
        for _ in range(ATTEMPTS):
            entry = await self._stores.jobs.get(first.key)
            try:
                if entry is None:
                    entry = await self._stores.jobs.create(first.key, first)
                if entry.value.state.final:
                    return None
                taken = entry.value.model_copy(
                    update={
                        "worker": self._worker,
                        "attempt": entry.value.attempt + 1,
                        "updated_at": now(),
                        **({"state": JobState.RUNNING} if entry.value.state is JobState.QUEUED else {}),
                    }
                )
                held = await self._stores.jobs.update(entry, taken)
            except Conflict:
                continue
            return Claim(self._stores.jobs, held, partial(_same_claim, taken))
        raise Conflict(f"Job {job.job} changes too often to be claimed.", code="changed_meanwhile")

    # --- 2. run, and watch -----------------------------------------------------------------------
    async def _run_claimed(self, journal: Journal, claim: Claim[JobRecord], delivery: Delivery) -> Outcome:
        record = claim.record
        if record.state is JobState.CANCELLING:
            await journal.cancelled()
            return Done()
        if record.attempt > ATTEMPTS and record.committed is None:
            return await self._fail_for_good(journal, delivery, record.stage or "the worker was lost")
        started = time.monotonic()
        log.info("job claimed", attempt=record.attempt)
        training = asyncio.create_task(self._work(journal), name="train")
        watching = asyncio.create_task(self._until_unwanted(claim), name="watch entry")
        stopping = asyncio.create_task(delivery.stopping.wait(), name="watch stop")
        try:
            await asyncio.wait({training, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            outcome = await self._settle(journal, delivery, training, watching)
        finally:
            for task in (training, watching, stopping):
                task.cancel()
            await asyncio.wait({training, watching, stopping})
        self._metrics.job_ended(str(claim.record.state), time.monotonic() - started)
        return outcome

    async def _until_unwanted(self, claim: Claim[JobRecord]) -> None:
        """Return when the job is cancelled. Raises `ClaimLost` when another worker has it."""
        job = claim.record.job.job
        look = self._look[job] = asyncio.Event()
        try:
            while (await claim.refresh()).state is not JobState.CANCELLING:
                look.clear()
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await look.wait()
                except TimeoutError:
                    continue
        finally:
            del self._look[job]

    async def _settle(
        self,
        journal: Journal,
        delivery: Delivery,
        training: asyncio.Task[JobResult],
        watching: asyncio.Task[None],
    ) -> Outcome:
        """Whichever of the three came first decides."""
        if training.done():
            return await self._settle_training(journal, delivery, training)
        training.cancel()  # ends the child and frees its memory
        await asyncio.wait({training})
        if watching.done():
            watching.result()
            await journal.cancelled()
            return Done()
        await journal.hand_back("waiting for a trainer", counts=False)
        return HandBack()

    async def _settle_training(
        self, journal: Journal, delivery: Delivery, training: asyncio.Task[JobResult]
    ) -> Outcome:
        attempt = journal.record.attempt
        try:
            await journal.succeeded(training.result())
        except ClaimLost:
            raise
        except Cancelled:
            await journal.cancelled()
        except (ChorusError, OSError) as error:
            if isinstance(error, ChorusError) and not (error.retryable or isinstance(error, InternalError)):
                await journal.failed(JobError(code=error.code, message=error.message, param=error.param))
                return Done()
            log.warning("attempt failed", attempt=attempt, error=str(error))
            if attempt >= ATTEMPTS and journal.record.committed is None:
                return await self._fail_for_good(journal, delivery, str(error))
            await journal.hand_back(f"trying again, because: {error}", counts=True)
            return HandBack(delay=RETRY_AFTER * 2.0**attempt)
        return Done()

    async def _fail_for_good(self, journal: Journal, delivery: Delivery, cause: str) -> Outcome:
        """A job that kills its workers must not go on for ever."""
        await self._give_up(delivery, cause)
        message = f"{ATTEMPTS} attempts failed, and it was given up. The last one: {cause}"
        await journal.failed(JobError(code="gave_up", message=message))
        return Done()

    async def _give_up(self, delivery: Delivery, reason: str) -> None:
        """Keep the message among the dead letters, where an operator finds it with its reason."""
        guild = delivery.subject.rsplit(".", 1)[-1]
        await self._connection.jetstream().publish(
            f"dlq.train.{guild}",
            delivery.data,
            headers={"X-Dlq-Reason": h.shorten(reason), "Nats-Msg-Id": f"{delivery.sequence}"},
        )
        log.error("job given up", reason=reason)

    # --- 3. train --------------------------------------------------------------------------------
    async def _work(self, journal: Journal) -> JobResult:
        """Train and store, commit, publish. What was committed by an earlier attempt is only published."""
        if (committed := journal.record.committed) is None:
            committed = await self._train(journal, journal.record.job)
            await journal.commit(committed)
        return await self._publish(committed)

    async def _train(self, journal: Journal, job: TrainJob) -> Committed:
        """From the data to a stored adapter that nobody knows of yet."""
        self._check(job)
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
            manifest = manifest_of(job, trained, out, _contributors(examples))
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


def _same_claim(taken: JobRecord, now: JobRecord) -> bool:
    """Whether the entry is still held by the claim that wrote `taken`."""
    return (now.worker, now.attempt) == (taken.worker, taken.attempt)


def _contributors(path: Path) -> list[str]:
    """Everybody whose words are in the data."""
    with path.open("rb") as lines:
        return sorted({who for line in lines for who in Example.model_validate_json(line).contributors})
