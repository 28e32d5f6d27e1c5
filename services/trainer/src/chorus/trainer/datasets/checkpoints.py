"""Checkpoints of training jobs, as far as they have to go: with the words they hold, and with their job.

S3 checkpoints  <guild>/<job>/<step>-<claims>/…
"""

from collections.abc import Collection

from chorus.common.bus.state import Bucket
from chorus.common.contracts import storage
from chorus.common.contracts.models import model_key
from chorus.common.contracts.training import JobRecord, job_key
from chorus.common.objects import ObjectStore


class Checkpoints:
    """All guilds' checkpoints."""

    def __init__(self, jobs: Bucket[JobRecord], store: ObjectStore) -> None:
        self._jobs = jobs
        self._store = store

    async def forget(self, guild: str, datasets: Collection[str], models: Collection[str]) -> int:
        """Delete those of jobs that learn from these dataset versions, or go on from these models.

        Returns how many objects went. Such a job finds out itself that its data is gone, and fails.
        """
        gone = 0
        for entry in await self._jobs.entries(f"{guild}."):
            job = entry.value.job
            parents = {job.parent.model} if job.parent else set[str]()
            if {learned.dataset for learned in job.data} & set(datasets) or parents & set(models):
                gone += await self._delete(f"{guild}/{job.job}/")
        return gone

    async def clear(self) -> int:
        """Delete those of jobs that have ended, or that nobody remembers; returns how many objects went."""
        found = await self._store.list(storage.CHECKPOINTS, "")
        gone = 0
        for guild, job in sorted({(key[0], key[1]) for key in (each.key.split("/") for each in found)}):
            entry = await self._jobs.get(job_key(guild, job))
            if entry is None or entry.value.state.final:
                gone += await self._delete(f"{guild}/{job}/")
        return gone

    async def _delete(self, folder: str) -> int:
        found = await self._store.list(storage.CHECKPOINTS, folder)
        return await self._store.delete(storage.CHECKPOINTS, (each.key for each in found))

    async def busy(self) -> set[str]:
        """Keys of the models' entries that jobs are at work on, or will be."""
        jobs = [entry.value for entry in await self._jobs.entries()]
        return {model_key(each.job.guild, each.job.model) for each in jobs if not each.state.final}
