"""What is left to be done when nobody asks for it: once a minute, by each process that plays this role.

Each thing may be done twice, and at the same time by two processes: all of them end in the same state.
"""

import asyncio
import itertools
import re
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

import structlog

from chorus.common.contracts import storage
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError
from chorus.common.objects import ObjectStore
from chorus.trainer.datasets.checkpoints import Checkpoints
from chorus.trainer.datasets.consent import Ledger
from chorus.trainer.datasets.export import EXPORTS
from chorus.trainer.datasets.feedback import Feedback
from chorus.trainer.datasets.forgetting import Forgetting
from chorus.trainer.datasets.library import ARCHIVES, Library
from chorus.trainer.datasets.mined import Harvests
from chorus.trainer.datasets.stale import Models
from chorus.trainer.training.merging import MERGED

EVERY = 60.0  # seconds
CLEAR_EVERY = 10  # looks: the whole bucket is listed for it
ANSWERS_EVERY = 60  # looks, which is an hour: all answers of guilds that keep them for less are read
KEEP_EVERY = 24 * 60  # looks, which is a day: an entry of a job ends after thirty
CUT_SHORT_AFTER = timedelta(minutes=10)  # a deletion that is not done by then has lost its worker
UNUSED_AFTER = timedelta(hours=1)  # what nothing came from by then: its import or its job failed
EXPORTS_KEPT = timedelta(days=1)  # and whole models that were merged for somebody

_UPLOAD = re.compile(r"[^/]+/[0-9a-f]{64}")  # as `ObjectStore.put_by_hash` names them

T = TypeVar("T")

log = structlog.get_logger()


class Keeper:
    """Ends deletions that were cut short, blocks models past their deadline, clears what nobody needs."""

    def __init__(
        self,
        ledger: Ledger,
        forgetting: Forgetting,
        models: Models,
        checkpoints: Checkpoints,
        library: Library,
        harvests: Harvests,
        feedback: Feedback,
        store: ObjectStore,
    ) -> None:
        self._ledger = ledger
        self._forgetting = forgetting
        self._models = models
        self._checkpoints = checkpoints
        self._library = library
        self._harvests = harvests
        self._feedback = feedback
        self._store = store

    async def run(self) -> None:
        """Look now, and then once a minute, for ever."""
        for number in itertools.count():
            await self.look()
            if number % CLEAR_EVERY == 0:
                await self.clear()
            if number % ANSWERS_EVERY == 0:
                await self._patiently("clear answers", self._feedback.clear())
            if number % KEEP_EVERY == 0:
                await self._patiently("keep waiting jobs", self._checkpoints.keep_waiting())
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Block what is past its time, and end what was cut short; what fails is tried again."""
        await self._patiently("block models", self._models.block_overdue())
        for entry in await self._patiently("read the ledger", self._ledger.unfinished()) or []:
            since = entry.value.forget_since
            if since is not None and since < now() - CUT_SHORT_AFTER:
                await self._patiently("forget", self._forgetting.carry_out(entry.value))

    async def _patiently(self, what: str, work: Awaitable[T]) -> T | None:
        """One thing's trouble must not stand in the way of the others."""
        try:
            return await work
        except ChorusError as error:
            log.warning("the keeper could not do its work", what=what, code=error.code, reason=error.message)
        except Exception:  # a full disk, say
            log.exception("the keeper could not do its work", what=what)
        return None

    async def clear(self) -> None:
        """Delete what nobody needs: uploads and what was packed, datasets' bytes, models', checkpoints."""
        gone = 0
        for what, work in (
            ("clear files", self._clear_files()),
            ("clear datasets", self._clear_datasets()),
            ("clear models", self._clear_models()),
            ("clear checkpoints", self._checkpoints.clear()),
        ):
            gone += await self._patiently(what, work) or 0
        if gone:
            log.info("cleared what nobody needs", objects=gone)

    async def _clear_files(self) -> int:
        """Uploads that nothing came from, sound that nobody deleted, and what lay there to be fetched."""
        kept: dict[str, set[str]] = {}
        gone: list[str] = []
        for found in await self._store.list(storage.FILES, ""):
            guild, _, rest = found.key.partition("/")
            if _UPLOAD.fullmatch(found.key) and found.modified < now() - UNUSED_AFTER:
                if guild not in kept:
                    kept[guild] = await self._library.uploads(guild) | await self._harvests.uploads(guild)
                gone += [] if found.key in kept[guild] else [found.key]
            elif rest.startswith(f"{storage.ONCE}/") and found.modified < now() - UNUSED_AFTER:
                gone.append(found.key)  # whoever was to delete it was killed
            elif rest.startswith((f"{EXPORTS}/", f"{MERGED}/")) and found.modified < now() - EXPORTS_KEPT:
                gone.append(found.key)
            elif rest.startswith(f"{ARCHIVES}/") and found.modified < now() - UNUSED_AFTER:
                gone += [] if await self._library.is_there(guild, rest.split("/")[1]) else [found.key]
        return await self._store.delete(storage.FILES, gone)

    async def _clear_datasets(self) -> int:
        """Of builds and withdrawals that were cut short."""
        gone = 0
        for guild in await self._library.guilds():
            for version in await self._library.unpurged(guild):
                await self._library.purge(version)
            unnamed = await self._library.unnamed(guild, now() - UNUSED_AFTER)
            gone += await self._store.delete(storage.DATASETS, unnamed)
        return gone

    async def _clear_models(self) -> int:
        """Of jobs that were lost between an upload and its entry."""
        unnamed = await self._models.unnamed(now() - UNUSED_AFTER, await self._checkpoints.busy())
        return await self._store.delete(storage.MODELS, unnamed)
