"""Who may write a job's entry: the fence that an acknowledgement is not.

NATS accepts the acknowledgement of a worker whose job was long since given to another. So a worker
claims the job's entry with compare-and-set, writes it only through its claim, and commits its result
through it: a claim that another worker has taken over commits nothing. An outage of the bus is waited
out: it must not cost the work that has been done.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel

from chorus.common.bus.state import CAS_ATTEMPTS, Bucket, Entry
from chorus.common.errors import Conflict, NotFound
from chorus.common.patience import patiently

Record = TypeVar("Record", bound=BaseModel)


class ClaimLost(Conflict):
    """Another worker holds the claim now; this one must stop and write nothing more."""

    default_code = "claim_lost"


class Claim(Generic[Record]):
    """The right to write one entry, as long as `mine` holds of it."""

    def __init__(self, bucket: Bucket[Record], entry: Entry[Record], mine: Callable[[Record], bool]) -> None:
        self._bucket = bucket
        self._entry = entry
        self._mine = mine
        self._lock = asyncio.Lock()

    @property
    def record(self) -> Record:
        """The entry as last seen."""
        return self._entry.value

    async def refresh(self) -> Record:
        """Read the entry anew: others may have asked for something. Raises `ClaimLost`."""
        async with self._lock:
            await self._read()
            return self.record

    async def write(self, changed: Callable[[Record], Record]) -> Record:
        """Change the entry, whatever others wrote beside us. Raises `ClaimLost`."""
        async with self._lock:
            for _ in range(CAS_ATTEMPTS):
                try:
                    self._entry = await patiently(self._bucket.update)(self._entry, changed(self.record))
                    return self.record
                except Conflict:
                    await self._read()
            raise Conflict("The entry changes too often to be changed.", code="changed_meanwhile")

    async def _read(self) -> None:
        entry = await patiently(self._bucket.get)(self._entry.key)
        if entry is None:
            raise NotFound(f"The entry {self._entry.key} is gone.")
        if not self._mine(entry.value):
            raise ClaimLost("Another worker has taken this job over.")
        self._entry = entry
