"""A running job hears at once that somebody stops it, whatever else its worker is told."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from chorus.common.contracts.training import Control, JobRecord, JobState, control_subject
from chorus.common.contracts.wire import encode
from chorus.trainer.training.run import JobRunner
from tests.unit.trainer.made import AT, a_job


@dataclass
class Word:
    """What the gateway publishes when somebody stops a job."""

    subject: str
    data: bytes = encode(Control(guild="1", action="cancel"))


class SlowBucket:
    """The jobs' entries, behind a bus that does not answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def get(self, key: str) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


def a_runner(jobs: Any = None) -> JobRunner:
    nothing: Any = None
    return JobRunner(nothing, jobs, nothing, nothing, nothing, worker="one", grace=10.0)


def a_word(job: str) -> Any:
    return Word(control_subject(job))


async def test_what_comes_while_an_older_read_is_on_its_way_is_looked_at_at_once() -> None:
    runner, job = a_runner(), a_job()
    states = iter([JobState.RUNNING, JobState.CANCELLING])

    class AClaim:
        record = JobRecord(state=JobState.RUNNING, job=job, updated_at=AT)

        async def refresh(self) -> SimpleNamespace:
            read = SimpleNamespace(state=next(states))
            if read.state is JobState.RUNNING:  # cancelled just after it was read
                await runner.on_control(a_word(job.job))
            return read

    claim: Any = AClaim()
    async with asyncio.timeout(2):  # without the word it looks after 5 s
        await runner._until(claim, JobState.CANCELLING)


async def test_freeing_the_place_of_another_job_keeps_no_word_waiting() -> None:
    jobs = SlowBucket()
    runner = a_runner(jobs)
    async with asyncio.timeout(2):
        await runner.on_control(a_word("otherjobxx"))
        await jobs.asked.wait()
        await runner.stop()
    assert jobs.left.is_set(), "and it ends with its worker"
