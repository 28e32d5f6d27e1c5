"""Checkpoints of one job in S3: stored while it trains, found again by whichever worker goes on.

    <guild>/<job>/<step>-<claims>/…      the child's files, `manifest.json` last: it has the others' hashes

The job's entry names the newest, through the worker's claim: what a lost worker stores is never named. Older
ones are kept for when the newest turns out damaged. When the job has ended, all of them go.
"""

import asyncio
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from chorus.common.bus.claims import ClaimLost
from chorus.common.contracts.models import MANIFEST
from chorus.common.contracts.names import Sha256
from chorus.common.contracts.storage import CHECKPOINTS, ObjectRef
from chorus.common.contracts.training import Checkpoint, TrainJob
from chorus.common.contracts.wire import Part, now
from chorus.common.errors import ChorusError, NotFound
from chorus.common.objects import CorruptObject, ObjectStore
from chorus.common.patience import patiently
from chorus.trainer.metrics import TrainerMetrics
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Saved

log = structlog.get_logger()


class File(Part):
    """What a checkpoint's manifest says of one file."""

    size: NonNegativeInt
    sha256: Sha256


FILES = TypeAdapter(dict[str, File])
"""A checkpoint's manifest: its files by name."""


@dataclass(frozen=True)
class Found:
    """A checkpoint in S3, as its key tells of it."""

    place: str
    step: int
    claims: int

    @property
    def age(self) -> tuple[int, int]:
        """Greater for newer ones: a later worker's is newer, even where that one had to begin again."""
        return self.claims, self.step


class Checkpoints:
    """The checkpoints of the job that a journal is about."""

    def __init__(self, store: ObjectStore, journal: Journal, metrics: TrainerMetrics, *, kept: int) -> None:
        self._store = store
        self._journal = journal
        self._metrics = metrics
        self._kept = kept
        self._home = _home(journal.record.job)

    async def store(self, saved: Saved) -> None:
        """Upload a checkpoint, name it in the job's entry, and delete those that are too many.

        Raises `ClaimLost` where another worker has the job: then nothing of it is left in S3.
        """
        started = time.monotonic()
        folder = Path(saved.folder)
        place = f"{self._home}{saved.step:08d}-{self._journal.record.claims}/"
        manifest = await asyncio.to_thread((folder / MANIFEST).read_bytes)
        files = FILES.validate_json(manifest)
        for name, file in files.items():
            ref = await patiently(self._store.put_file)(CHECKPOINTS, f"{place}{name}", folder / name)
            if ref.sha256 != file.sha256:
                raise CorruptObject(f"{name} is not what was saved.")
        ref = await patiently(self._store.put)(CHECKPOINTS, f"{place}{MANIFEST}", manifest)
        try:
            await self._journal.checkpointed(Checkpoint(step=saved.step, manifest=ref, at=now()))
        except ClaimLost:
            await self._delete([place])
            raise
        size = sum(file.size for file in files.values())
        self._metrics.checkpoint_stored(size, time.monotonic() - started)
        await self._prune(place)

    async def _prune(self, named: str) -> None:
        """Delete all but the newest whole ones; what has no manifest was never finished.

        What a later worker is storing stays: this one may have lost its claim since it named its own.
        """
        places = await self._list()
        whole = sorted((found for found in places if places[found]), key=lambda found: found.age)
        kept = {named, *(found.place for found in whole[-self._kept :])}
        claims = self._journal.record.claims
        await self._delete([f.place for f in places if f.place not in kept and f.claims <= claims])

    async def _delete(self, places: list[str]) -> None:
        for place in places:
            found = await patiently(self._store.list)(CHECKPOINTS, place)
            await patiently(self._store.delete)(CHECKPOINTS, [each.key for each in found])

    async def _list(self) -> dict[Found, bool]:
        """Whatever there is of this job's checkpoints, and whether its manifest is there."""
        places: dict[Found, bool] = defaultdict(bool)
        for each in await patiently(self._store.list)(CHECKPOINTS, self._home):
            folder, _, name = each.key.removeprefix(self._home).partition("/")
            step, _, claims = folder.partition("-")
            if step.isdigit() and claims.isdigit():
                places[Found(f"{self._home}{folder}/", int(step), int(claims))] |= name == MANIFEST
        return places

    # --- to go on from ---------------------------------------------------------------------------
    async def whole(self, into: Path) -> AsyncGenerator[Saved]:
        """Fetch the newest checkpoint whose bytes are right, then the one before, and so on.

        Each lies in `into` until the next one is asked for. What is damaged is told, and passed over.
        """
        places = await self._list()
        named = self._journal.record.checkpoint
        for found in sorted((f for f in places if places[f]), key=lambda f: f.age, reverse=True):
            try:
                folder = await self._fetch(found, named, into)
            except (CorruptObject, NotFound, ValidationError) as error:
                log.warning("checkpoint damaged", step=found.step, reason=str(error))
                await self._journal.warn(
                    f"The checkpoint of step {found.step} is damaged: an older one is looked for."
                )
                continue
            yield Saved(step=found.step, folder=str(folder))
            await asyncio.to_thread(shutil.rmtree, folder)

    async def _fetch(self, found: Found, named: Checkpoint | None, into: Path) -> Path:
        key = f"{found.place}{MANIFEST}"
        if named is not None and named.manifest.key == key:
            manifest = await patiently(self._store.get)(named.manifest)
        else:
            manifest = await patiently(self._store.get_unhashed)(CHECKPOINTS, key)
        folder = into / f"step-{found.step:08d}-{found.claims}"
        await asyncio.to_thread(folder.mkdir, parents=True)
        for name, file in FILES.validate_json(manifest).items():
            ref = ObjectRef(
                bucket=CHECKPOINTS, key=f"{found.place}{name}", size=file.size, sha256=file.sha256
            )
            await patiently(self._store.get_file)(ref, folder / name)
        await asyncio.to_thread((folder / MANIFEST).write_bytes, manifest)
        return folder


async def discard(store: ObjectStore, job: TrainJob) -> None:
    """Delete all checkpoints of a job that has ended. What cannot be deleted now, the keeper finds."""
    with suppress(ChorusError):
        found = await patiently(store.list)(CHECKPOINTS, _home(job))
        await patiently(store.delete)(CHECKPOINTS, [each.key for each in found])


def _home(job: TrainJob) -> str:
    """Where all of a job's checkpoints are."""
    return f"{job.guild}/{job.job}/"
