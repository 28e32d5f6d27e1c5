"""One job, from its message in the queue to what becomes of it.

    message → its turn → claim → work, watched → settle

The worker watches three things meanwhile: the work itself (`work.py`), the job's entry (somebody may want it
paused or cancelled, or another worker may have taken it over), and its own service (which may be stopping).
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog
from nats.aio.msg import Msg

from chorus.common.bus.claims import Claim, ClaimLost
from chorus.common.bus.connection import Connection
from chorus.common.bus.jobs import Delivery, Done, HandBack, LeaveAlone, Outcome, delay_after
from chorus.common.bus.state import Bucket, Entry
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
from chorus.common.objects import CorruptObject
from chorus.common.telemetry.logging import bind
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.queue import give_up, withdraw
from chorus.trainer.training.turns import NOT_YET, Turns
from chorus.trainer.training.work import Training

ATTEMPTS = 3  # without progress, then the job is given up
GAVE_UP = "gave_up"  # its code then, unless what it had stored was damaged
LOOK_EVERY = 5.0  # seconds between looks at the entry while the child trains
PAUSE_WITHIN = 30.0  # seconds to save and store a checkpoint; after that, the one before it counts
OF_GRACE = 0.7  # the share of what a stopping service has that its job may take for the same

WAITING = "waiting for a trainer"

log = structlog.get_logger()


class JobRunner:
    """Runs jobs for one worker."""

    def __init__(
        self,
        connection: Connection,
        jobs: Bucket[JobRecord],
        training: Training,
        turns: Turns,
        metrics: TrainerMetrics,
        *,
        worker: str,
        grace: float,
    ) -> None:
        """`worker` names it in entries; `grace` is how many seconds it has when its service stops."""
        self._connection = connection
        self._jobs = jobs
        self._training = training
        self._turns = turns
        self._metrics = metrics
        self._worker = worker
        self._stop_within = min(PAUSE_WITHIN, grace * OF_GRACE)
        self._look: dict[str, asyncio.Event] = {}
        self._freeing: set[asyncio.Task[None]] = set()

    async def on_control(self, message: Msg) -> None:
        """Somebody stops a job: if we run it, look at its entry now; if nobody does, free its place."""
        job = message.subject.rsplit(".", 1)[-1]
        if (look := self._look.get(job)) is not None:
            look.set()
            return
        # Not here: the subscription's callbacks run one after the other, and the next one may be for us.
        freeing = asyncio.create_task(self._free(job, message.data), name=f"free the place of {job}")
        self._freeing.add(freeing)
        freeing.add_done_callback(self._freeing.discard)

    async def stop(self) -> None:
        """End what goes on beside the jobs; what is left undone is done by whoever meets the message."""
        left = list(self._freeing)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _free(self, job: str, data: bytes) -> None:
        """Take a job that waited and was stopped out of the queue."""
        try:
            asked = decode(Control, data)
            entry = await self._jobs.get(job_key(asked.guild, job))
            if entry is not None and entry.value.state in {JobState.CANCELLED, JobState.PAUSED}:
                await withdraw(self._connection, entry.value)
                if entry.value.state.final:
                    await self._training.forget(entry.value.job)
        except ChorusError as error:  # the fast path only; a worker that meets the message sees the entry
            log.warning("place not freed", job=job, error=error.message)
        except Exception:
            log.exception("place not freed", job=job)

    async def handle(self, delivery: Delivery) -> Outcome:
        """What becomes of one message."""
        try:
            job = decode(TrainJob, delivery.data)
        except InvalidInput as error:
            await give_up(self._connection, delivery, error.message)
            return Done()
        with bind(job=job.job, guild=job.guild):
            claim = await self._claim(job, delivery)
            if not isinstance(claim, Claim):
                return claim
            journal = Journal(self._connection, claim)
            try:
                outcome = await self._run_claimed(journal, claim, delivery)
            except ClaimLost:
                log.warning("claim lost; another worker has the job")
                return LeaveAlone()
            if claim.record.state.final:
                await self._training.forget(job)
            return outcome

    # --- 1. claim --------------------------------------------------------------------------------
    async def _claim(self, job: TrainJob, delivery: Delivery) -> Claim[JobRecord] | Outcome:
        """Take the job's entry, or say why not. A message from elsewhere gets its entry here."""
        first = JobRecord(state=JobState.QUEUED, job=job, updated_at=now())
        for _ in range(ATTEMPTS):
            try:
                entry = await self._jobs.get(first.key) or await self._jobs.create(first.key, first)
                if (outcome := self._not_now(entry, delivery)) is not None:
                    return outcome
                held = await self._jobs.update(entry, self._taken(entry.value))
            except Conflict:
                continue
            return Claim(self._jobs, held, partial(_same_claim, held.value))
        raise Conflict(f"Job {job.job} changes too often to be claimed.", code="changed_meanwhile")

    def _not_now(self, entry: Entry[JobRecord], delivery: Delivery) -> Outcome | None:
        """What becomes of a message whose job is not to be run, or not yet."""
        record = entry.value
        if record.state.final or record.state is JobState.PAUSED:
            return Done()
        if delivery.message_id not in {None, record.message_id}:
            log.info("out of date: the job was published again", published=record.published)
            return Done()
        self._turns.see(entry)
        return None if self._turns.is_next(record.job) else HandBack(delay=NOT_YET)

    def _taken(self, record: JobRecord) -> JobRecord:
        running = record.state is JobState.QUEUED
        return record.model_copy(
            update={
                "state": JobState.RUNNING if running else record.state,
                "worker": self._worker,
                "attempt": record.attempt + 1,
                "claims": record.claims + 1,
                "started_at": record.started_at or now(),
                "progress": None,
                "updated_at": now(),
            }
        )

    # --- 2. run, and watch -----------------------------------------------------------------------
    async def _run_claimed(self, journal: Journal, claim: Claim[JobRecord], delivery: Delivery) -> Outcome:
        record = claim.record
        if record.state is not JobState.RUNNING:  # somebody wanted it stopped, and its worker is lost
            return await self._let_go(journal)
        if record.attempt > ATTEMPTS and record.committed is None:
            return await self._fail_for_good(journal, delivery, record.stage or "the worker was lost")
        log.info("job claimed", attempt=record.attempt, claims=record.claims)
        pause = asyncio.Event()
        training = asyncio.create_task(self._training.run(journal, pause), name="train")
        try:
            await self._watch(claim, delivery, training, pause)
            outcome = await self._settle(journal, delivery, training)
        finally:
            training.cancel()  # ends the child and frees its memory
            await asyncio.wait({training})
        self._metrics.attempt_ended(record.job.job)
        return outcome

    async def _watch(
        self,
        claim: Claim[JobRecord],
        delivery: Delivery,
        training: asyncio.Task[JobResult | None],
        pause: asyncio.Event,
    ) -> None:
        """Return when the work is done, or shall be cut short now. Raises `ClaimLost`."""
        asked = self._until(claim, JobState.PAUSING, JobState.CANCELLING)
        await _first(training, asked, delivery.stopping.wait())
        if training.done() or claim.record.state is JobState.CANCELLING:
            return
        pause.set()
        within = self._stop_within if delivery.stopping.is_set() else PAUSE_WITHIN
        await _first(training, self._until(claim, JobState.CANCELLING), asyncio.sleep(within))

    async def _until(self, claim: Claim[JobRecord], *states: JobState) -> None:
        """Return when the entry is in one of these states. Raises `ClaimLost` if another worker has it."""
        job = claim.record.job.job
        look = self._look[job] = asyncio.Event()
        try:
            while True:
                look.clear()  # before it is read: what comes meanwhile is looked at again
                if (await claim.refresh()).state in states:
                    return
                try:
                    async with asyncio.timeout(LOOK_EVERY):
                        await look.wait()
                except TimeoutError:
                    continue
        finally:
            if self._look.get(job) is look:
                del self._look[job]

    # --- 3. settle -------------------------------------------------------------------------------
    async def _settle(
        self, journal: Journal, delivery: Delivery, training: asyncio.Task[JobResult | None]
    ) -> Outcome:
        """What becomes of the job."""
        if not training.done():
            training.cancel()
            await asyncio.wait({training})
            return await self._let_go(journal)
        try:
            result = training.result()
            if result is None:  # paused
                return await self._let_go(journal)
            await journal.succeeded(result)
        except ClaimLost:
            raise
        except Cancelled:
            return await self._let_go(journal)
        except (ChorusError, OSError) as error:
            return await self._settle_failed(journal, delivery, error)
        return Done()

    async def _settle_failed(
        self, journal: Journal, delivery: Delivery, error: ChorusError | OSError
    ) -> Outcome:
        attempt = journal.record.attempt
        if isinstance(error, ChorusError) and not (error.retryable or isinstance(error, InternalError)):
            await journal.failed(JobError(code=error.code, message=error.message, param=error.param))
            return Done()
        log.warning("attempt failed", attempt=attempt, error=str(error))
        # What is committed waits for as long as an outage lasts, but not for bytes that are damaged.
        waits = journal.record.committed is not None and isinstance(error, Unavailable)
        if attempt >= ATTEMPTS and not waits:
            code = error.code if isinstance(error, CorruptObject) else GAVE_UP
            return await self._fail_for_good(journal, delivery, str(error), code)
        delay = delay_after(attempt + 1)
        return await self._let_go(journal, f"trying again, because: {error}", counts=True, delay=delay)

    async def _let_go(
        self, journal: Journal, why: str = WAITING, *, counts: bool = False, delay: float = 0.0
    ) -> Outcome:
        """Paused, cancelled, or back in the queue: the entry knows what was asked for."""
        state = await journal.let_go(why, counts=counts)
        return HandBack(delay) if state is JobState.QUEUED else Done()

    async def _fail_for_good(
        self, journal: Journal, delivery: Delivery, cause: str, code: str = GAVE_UP
    ) -> Outcome:
        """A job that kills its workers must not go on for ever."""
        await give_up(self._connection, delivery, cause)
        message = f"{ATTEMPTS} attempts failed, and it was given up. The last one: {cause}"
        await journal.failed(JobError(code=code, message=message))
        return Done()


async def _first(training: asyncio.Task[JobResult | None], *others: Coroutine[Any, Any, object]) -> None:
    """Wait until the training or one of the others is done; what the others raise is raised."""
    tasks = [asyncio.create_task(other) for other in others]
    try:
        await asyncio.wait({training, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _same_claim(taken: JobRecord, now: JobRecord) -> bool:
    """Whether the entry is still held by the claim that wrote `taken`."""
    return (now.worker, now.claims) == (taken.worker, taken.claims)
