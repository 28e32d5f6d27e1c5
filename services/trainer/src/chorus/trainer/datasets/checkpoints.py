"""Checkpoints of training jobs, as far as they have to go: with the words they hold, and with their job.

S3 checkpoints  <guild>/<job>/<step>-<claims>/…

A job that no worker has in hand cannot find out itself that its data is gone: it is failed here.
"""

from collections.abc import Collection
from contextlib import suppress

import structlog

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts import storage
from chorus.common.contracts.models import model_key
from chorus.common.contracts.training import JobError, JobRecord, JobState, job_key
from chorus.common.contracts.wire import now
from chorus.common.errors import Conflict, InvalidInput
from chorus.common.objects import ObjectStore
from chorus.trainer.training.lineage import Lineage

WAITING = {JobState.QUEUED, JobState.PAUSED}
"""No worker has such a job in hand."""

log = structlog.get_logger()


class Checkpoints:
    """All guilds' checkpoints."""

    def __init__(self, jobs: Bucket[JobRecord], lineage: Lineage, store: ObjectStore) -> None:
        self._jobs = jobs
        self._lineage = lineage
        self._store = store

    async def forget(self, guild: str, datasets: Collection[str], models: Collection[str]) -> int:
        """Delete those of jobs that learn from these dataset versions, or go on from these models.

        Returns how many objects went. A running job finds out when it stores its next one, and fails.
        """
        gone = 0
        for entry in await self._jobs.entries(f"{guild}."):
            job = entry.value.job
            parents = {job.parent.model} if job.parent else set[str]()
            if {learned.dataset for learned in job.data} & set(datasets) or parents & set(models):
                gone += await self._delete(f"{guild}/{job.job}/")
        return gone

    async def clear(self) -> int:
        """Delete those of jobs that have ended, that may not go on, or that nobody remembers.

        A job that waits and may not go on is failed. Returns how many objects went.
        """
        found = await self._store.list(storage.CHECKPOINTS, "")
        jobs = {job_key(*each.key.split("/")[:2]): each.key.split("/")[:2] for each in found}
        for entry in await self._waiting():
            jobs[entry.key] = [entry.value.job.guild, entry.value.job.job]
        gone = 0
        for key, (guild, job) in sorted(jobs.items()):
            try:
                if not await self._goes_on(key):
                    gone += await self._delete(f"{guild}/{job}/")
            except InvalidInput as error:  # a newer Chorus may have written what cannot be read
                log.warning("checkpoints not looked at", guild=guild, job=job, error=error.message)
        return gone

    async def _goes_on(self, key: str) -> bool:
        """Whether a job may need its checkpoints again. One that waits for what is gone is failed."""
        entry = await self._jobs.get(key)
        if entry is None or entry.value.state.final:
            return False
        if entry.value.committed is not None:  # it is published, and marked then
            return True
        refusal = await self._lineage.refusal(entry.value.job)
        if refusal is not None and entry.value.state in WAITING:
            await self._fail(entry, refusal)
        return refusal is None

    async def _fail(self, entry: Entry[JobRecord], why: InvalidInput) -> None:
        error = JobError(code=why.code, message=why.message, param=why.param)
        changes = {"state": JobState.FAILED, "stage": error.message, "error": error, "updated_at": now()}
        with suppress(Conflict):  # somebody has moved it on: it is looked at again
            await self._jobs.update(entry, entry.value.model_copy(update=changes))
            log.info("waiting job failed", entry=entry.key, code=error.code)

    async def keep_waiting(self) -> None:
        """Write the entries of jobs that wait anew, as they are: the bucket forgets what is 30 days old."""
        for entry in await self._waiting():
            with suppress(Conflict):  # somebody else has written it, which is as good
                await self._jobs.update(entry, entry.value)

    async def _waiting(self) -> list[Entry[JobRecord]]:
        return [entry for entry in await self._jobs.entries() if entry.value.state in WAITING]

    async def _delete(self, folder: str) -> int:
        found = await self._store.list(storage.CHECKPOINTS, folder)
        return await self._store.delete(storage.CHECKPOINTS, (each.key for each in found))

    async def busy(self) -> set[str]:
        """Keys of the models' entries that jobs are at work on, or will be."""
        jobs = [entry.value for entry in await self._jobs.entries()]
        return {model_key(each.job.guild, each.job.model) for each in jobs if not each.state.final}
