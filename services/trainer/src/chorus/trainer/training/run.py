"""One job, from its message in the queue to what becomes of it.

    message → claim → work, watched → settle

The worker watches three things meanwhile: the work itself (`work.py`), the job's entry (somebody may have
cancelled it, or another worker may have taken it over), and its own service (which may be stopping).
"""

import asyncio
import time
from functools import partial

import structlog
from nats.aio.msg import Msg

from chorus.common.bus import headers as h
from chorus.common.bus.claims import Claim, ClaimLost
from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, HandBack, LeaveAlone, Outcome
from chorus.common.bus.state import Bucket
from chorus.common.contracts.training import (
    Control,
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
    Unavailable,
)
from chorus.common.telemetry.logging import bind
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.queue import withdraw
from chorus.trainer.training.work import Training

ATTEMPTS = 3  # without progress, then the job is given up
LOOK_EVERY = 5.0  # seconds between looks at the entry while the child trains
RETRY_AFTER, LONGEST_RETRY = 2.0, 300.0  # seconds, doubled with each attempt

log = structlog.get_logger()


class JobRunner:
    """Runs one job after the other for one worker."""

    def __init__(
        self,
        connection: Connection,
        jobs: Bucket[JobRecord],
        training: Training,
        metrics: TrainerMetrics,
        *,
        worker: str,
    ) -> None:
        self._connection = connection
        self._jobs = jobs
        self._training = training
        self._metrics = metrics
        self._worker = worker
        self._look: dict[str, asyncio.Event] = {}

    async def on_control(self, message: Msg) -> None:
        """Somebody has cancelled a job: if we run it, look at its entry now; if nobody does, withdraw it."""
        job = message.subject.rsplit(".", 1)[-1]
        if (look := self._look.get(job)) is not None:
            look.set()
            return
        try:
            asked = decode(Control, message.data)
            entry = await self._jobs.get(job_key(asked.guild, job))
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
            entry = await self._jobs.get(first.key)
            try:
                if entry is None:
                    entry = await self._jobs.create(first.key, first)
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
                held = await self._jobs.update(entry, taken)
            except Conflict:
                continue
            return Claim(self._jobs, held, partial(_same_claim, taken))
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
        training = asyncio.create_task(self._training.run(journal), name="train")
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
            # What is committed waits for as long as an outage lasts, but not for bytes that are damaged.
            waits = journal.record.committed is not None and isinstance(error, Unavailable)
            if attempt >= ATTEMPTS and not waits:
                return await self._fail_for_good(journal, delivery, str(error))
            await journal.hand_back(f"trying again, because: {error}", counts=True)
            return HandBack(delay=min(LONGEST_RETRY, RETRY_AFTER * 2.0**attempt))
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


def _same_claim(taken: JobRecord, now: JobRecord) -> bool:
    """Whether the entry is still held by the claim that wrote `taken`."""
    return (now.worker, now.attempt) == (taken.worker, taken.attempt)
