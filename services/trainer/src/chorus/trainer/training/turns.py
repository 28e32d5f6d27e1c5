"""Whose turn it is: the order in which guilds' jobs start.

The queue hands its messages out as they came, and a guild that queues three jobs at once would make all
others wait for them. So each worker keeps a mirror of the jobs' entries, and hands a job back for a moment
while it is another one's turn:

    of all jobs that wait, that of the guild with the fewest running jobs,
    then of the guild that has not started one for the longest time,
    then the one that was submitted first

The mirror may be late by a moment; then a job starts out of turn, and nothing else happens. A turn that
nobody takes is waited for a while only: its message may be lost, or wait for its next attempt.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.training import JobRecord, JobState, TrainJob, job_key
from chorus.common.contracts.wire import now

NOT_YET = 0.5  # seconds for which a job is handed back whose turn it is not
WAITED_FOR = 30.0  # seconds for a turn that nobody takes
AWAY = 5.0  # seconds without a question: all slots were in use, and nobody waited for anything

NEVER = datetime.min.replace(tzinfo=UTC)


class Turns:
    """A mirror of the jobs' entries. `run` keeps it; read it once before the first question."""

    def __init__(
        self,
        jobs: Bucket[JobRecord],
        on_ended: Callable[[JobRecord], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_ended` is told of each job once when it ends, whoever ran it; not of what `read` finds."""
        self._jobs = jobs
        self._on_ended = on_ended
        self._clock = clock
        self._entries: dict[str, Entry[JobRecord]] = {}
        """Of jobs that have not ended."""
        self._ended: dict[str, int] = {}
        """Those that have: their keys, with the revision in which they ended."""
        self._started: dict[str, datetime] = {}
        """When each guild last started a job."""
        self._passed_over: dict[str, int] = {}
        """Entries whose turn nobody took, with their revisions: until they change, the others go on."""
        self._turn: tuple[str, float, float] | None = None
        """The turn that is waited for: its key, since when, and the last question."""

    async def read(self) -> None:
        """Read all entries. What has ended by now is no news."""
        for entry in await self._jobs.entries():
            if entry.value.state.final:
                self._ended[entry.key] = entry.revision
            self.see(entry)

    async def run(self) -> None:
        """Keep the mirror, for ever."""
        async for entry in self._jobs.follow():
            self.see(entry)

    def see(self, entry: Entry[JobRecord]) -> None:
        """Take in an entry as it is now; an older one than is known says nothing."""
        known = self._entries.get(entry.key)
        newest = self._ended.get(entry.key, 0) if known is None else known.revision
        if entry.revision < newest:
            return
        record = entry.value
        if record.started_at is not None:
            guild = record.job.guild
            self._started[guild] = max(record.started_at, self._started.get(guild, NEVER))
        if record.state.final:
            self._entries.pop(entry.key, None)
            self._passed_over.pop(entry.key, None)
            ends_now = entry.key not in self._ended
            self._ended[entry.key] = entry.revision
            if ends_now:
                self._on_ended(record)
        else:
            self._entries[entry.key] = entry
            self._ended.pop(entry.key, None)

    def is_next(self, job: TrainJob) -> bool:
        """Whether this job may start now. One that does not wait is for its worker to look at, at once."""
        key = job_key(job.guild, job.job)
        known = self._entries.get(key)
        if key in self._ended or (known is not None and known.value.state is not JobState.QUEUED):
            return True
        if known is None:  # its entry is not heard of yet, or it has none
            record = JobRecord(state=JobState.QUEUED, job=job, updated_at=now())
            known = Entry(key, record, 0)
        while (first := self._first(known)).key != key:
            if not self._is_waited_out(first):
                return False
            self._passed_over[first.key] = first.revision
        self._turn = None
        return True

    def _first(self, asking: Entry[JobRecord]) -> Entry[JobRecord]:
        """The entry whose turn it is; the one that asks is there for certain."""
        running = Counter(e.value.job.guild for e in self._entries.values() if e.value.state.held)

        def order(entry: Entry[JobRecord]) -> tuple[int, datetime, datetime, str]:
            job = entry.value.job
            return running[job.guild], self._started.get(job.guild, NEVER), job.submitted_at, job.job

        others = (
            e for e in self._waiting() if e.key != asking.key and self._passed_over.get(e.key) != e.revision
        )
        return min((asking, *others), key=order)

    def _is_waited_out(self, first: Entry[JobRecord]) -> bool:
        """Whether this turn has been waited for long enough."""
        at = self._clock()
        if self._turn is None or self._turn[0] != first.key or at - self._turn[2] > AWAY:
            self._turn = (first.key, at, at)
        self._turn = (first.key, self._turn[1], at)
        return at - self._turn[1] > WAITED_FOR

    def oldest_waiting(self) -> float | None:
        """Seconds that the oldest job in the queue has waited; None where none waits."""
        since = min((_waits_since(entry.value) for entry in self._waiting()), default=None)
        return (now() - since).total_seconds() if since else None

    def by_state(self) -> Counter[JobState]:
        """How many jobs have not ended, by their states."""
        return Counter(entry.value.state for entry in list(self._entries.values()))

    def _waiting(self) -> Iterator[Entry[JobRecord]]:
        # A list, since the thread that serves metrics asks, too.
        return (entry for entry in list(self._entries.values()) if entry.value.state is JobState.QUEUED)


def _waits_since(record: JobRecord) -> datetime:
    """When it came into the queue, or came back into it."""
    return record.updated_at if record.claims or record.published else record.job.submitted_at
