"""What is needed of what takes a while: a guild's jobs, where each is shown, answers that are not whole yet.

`backends` meet it over the bus, as they meet `ports`.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from chorus.common.contracts.cards import CardState, JobCard
from chorus.common.contracts.datasets import Dataset
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.contracts.training import JobEvent, JobRecord, Parent
from chorus.common.contracts.unfinished import Unfinished


class Jobs(Protocol):
    """Training jobs of a guild."""

    async def submit(
        self,
        data: Sequence[Dataset],
        model: str,
        wishes: Hyperparameters,
        *,
        base: str | None = None,
        parent: Parent | None = None,
        submitted_by: str,
        key: str,
    ) -> JobRecord:
        """Queue a training on all of this data, which is one guild's. The same key again is the same job.

        Raises `InvalidInput` with everything that is wrong, a line each, or `QueueFull`. Where nobody is
        there to look for what is wrong, it is queued all the same: the worker looks again.
        """
        ...

    async def get(self, guild: str, job: str) -> JobRecord:
        """One job. Raises `NotFound`."""
        ...

    async def recent(self, guild: str) -> list[JobRecord]:
        """All jobs that are remembered, newest first."""
        ...

    async def cancel(self, guild: str, job: str) -> JobRecord:
        """Ask for a job to stop. Raises `NotFound`, or `Conflict` if it has ended or is publishing."""
        ...

    async def pause(self, guild: str, job: str) -> JobRecord:
        """Ask for a job to stop and to keep what it has learned. Raises as `cancel` does."""
        ...

    async def resume(self, guild: str, job: str) -> JobRecord:
        """Queue a paused job again. Raises `NotFound`, `QueueFull`, or `Conflict` if it is not paused."""
        ...

    async def decline(self, guild: str, job: str, person: str) -> JobRecord:
        """Note that a person leaves the answering to what answered before.

        Raises `NotFound`, or `Conflict` where the job has made nothing, or what it has made answers.
        """
        ...

    def follow(self, guild: str, job: str) -> AsyncGenerator[JobRecord | JobEvent]:
        """The job as it goes on, until it has ended; and warnings when they are said."""
        ...

    async def logs(self, guild: str, job: str) -> list[JobEvent]:
        """What was said about it, oldest first; a week of it is kept."""
        ...


class JobCards(Protocol):
    """Where jobs are shown that somebody watches, so that each one's card goes on after a restart.

    All of it raises `Unavailable` where nothing answers.
    """

    async def get(self, guild: str, job: str) -> JobCard | None:
        """Where a job is shown, if it is."""
        ...

    async def put(self, card: JobCard) -> None:
        """It is shown here from now on, and by nobody else."""
        ...

    async def hold(self, card: JobCard, holder: str) -> bool:
        """Follow it, or go on following it; False where it is somebody else's, or shown somewhere else."""
        ...

    async def let_go(self, card: JobCard, holder: str, state: CardState) -> None:
        """Follow it no more. What is another's by now stays so."""
        ...

    async def free(self, holder: str) -> list[JobCard]:
        """All that are to be followed, and are followed by nobody or by this one."""
        ...


class UnfinishedAnswers(Protocol):
    """Answers that are being written, so that none is left half when a process is killed.

    All of it raises `Unavailable` where nothing answers.
    """

    async def note(self, answer: Unfinished) -> None:
        """It is being written."""
        ...

    async def renew(self, answer: Unfinished) -> None:
        """It is being written still; what is done meanwhile, or another's, stays so."""
        ...

    async def done(self, answer: Unfinished) -> None:
        """It is whole, or nothing more is to come of it."""
        ...

    async def left(self, holder: str, is_ours: Callable[[str], bool]) -> list[Unfinished]:
        """Those that nobody writes any more, of guilds that are ours; they are this one's from now on."""
        ...
