"""Whose turn it is, from entries alone."""

from datetime import UTC, datetime, timedelta

import pytest

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.training import JobRecord, JobState, TrainJob
from chorus.trainer.training.turns import AWAY, WAITED_FOR, Turns
from tests.unit.trainer.made import AT, a_job

A, B, C = "1", "2", "3"


class Room:
    """Guilds that queue and run jobs, and a clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[JobRecord] = []
        self.turns = Turns(None, self.ended.append, clock=lambda: self.now)  # type: ignore[arg-type]
        self._records: dict[str, Entry[JobRecord]] = {}

    def queue(self, guild: str) -> TrainJob:
        """One job more, a second after the last one."""
        number = len(self._records)
        job = a_job(
            f"job{'abcdefghij'[number]}aaaaaa", guild=guild, submitted_at=AT + timedelta(seconds=number)
        )
        self._see(JobRecord(state=JobState.QUEUED, job=job, updated_at=job.submitted_at), 1)
        return job

    def becomes(self, job: TrainJob, state: JobState, **changes: object) -> None:
        old = self._records[f"{job.guild}.{job.job}"]
        self._see(old.value.model_copy(update={"state": state, **changes}), old.revision + 1)

    def start(self, job: TrainJob, second: int) -> None:
        self.becomes(job, JobState.RUNNING, started_at=AT + timedelta(hours=1, seconds=second))

    def _see(self, record: JobRecord, revision: int) -> None:
        self._records[record.key] = entry = Entry(record.key, record, revision)
        self.turns.see(entry)

    def next(self, *jobs: TrainJob) -> list[TrainJob]:
        return [job for job in jobs if self.turns.is_next(job)]


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_second_guild_comes_second_whatever_the_first_has_queued(room: Room) -> None:
    jobs = [room.queue(A), room.queue(A), room.queue(A), room.queue(B)]
    order: list[TrainJob] = []
    while waiting := [job for job in jobs if job not in order]:
        (job,) = room.next(*waiting)
        room.start(job, len(order))
        room.becomes(job, JobState.SUCCEEDED)
        order.append(job)
    assert [job.guild for job in order] == [A, B, A, A]


def test_a_guild_with_a_running_job_waits_while_others_have_none(room: Room) -> None:
    first, second, other = room.queue(A), room.queue(A), room.queue(B)
    room.start(first, 0)
    assert room.next(second, other) == [other]
    room.start(other, 1)
    assert room.next(second) == [second], "both have one: there is nobody to wait for"


def test_a_job_in_the_hands_of_a_worker_that_is_asked_to_stop_still_runs(room: Room) -> None:
    first, second, other = room.queue(A), room.queue(A), room.queue(B)
    room.start(first, 0)
    room.becomes(first, JobState.PAUSING)
    assert room.next(second, other) == [other]
    room.becomes(first, JobState.PAUSED)
    room.becomes(other, JobState.CANCELLED)
    assert room.next(second) == [second]


def test_who_has_not_started_for_the_longest_time_is_first(room: Room) -> None:
    for guild, second in ((A, 5), (B, 3), (C, 4)):
        ended = room.queue(guild)
        room.start(ended, second)
        room.becomes(ended, JobState.FAILED)
    a, b, c = room.queue(A), room.queue(B), room.queue(C)
    assert room.next(a, b, c) == [b]


def test_what_is_paused_is_nobodys_turn(room: Room) -> None:
    paused, other = room.queue(A), room.queue(B)
    room.becomes(paused, JobState.PAUSED)
    assert room.next(other) == [other]


@pytest.mark.parametrize("state", [s for s in JobState if s is not JobState.QUEUED])
def test_a_job_that_does_not_wait_is_for_its_worker_to_look_at_at_once(room: Room, state: JobState) -> None:
    """A message of a dead worker's job, say: it holds its slot already."""
    room.queue(B)
    job = room.queue(A)
    room.becomes(job, state, **({"worker": "lost"} if state.held else {}))
    assert room.next(job) == [job]


def test_a_job_whose_entry_is_not_known_yet_has_its_turn_among_the_others(room: Room) -> None:
    first = room.queue(B)
    new = a_job("newaaaaaaa", guild=A, submitted_at=AT + timedelta(days=1))
    assert room.next(new) == []
    room.start(first, 0)
    assert room.next(new) == [new]


def test_old_news_changes_nothing(room: Room) -> None:
    first, second = room.queue(A), room.queue(B)
    waits = room._records[f"{first.guild}.{first.job}"]
    room.becomes(first, JobState.RUNNING)
    room.turns.see(waits)
    assert room.next(second) == [second]


def test_old_news_of_a_job_that_has_ended_does_not_bring_it_back(room: Room) -> None:
    first, second = room.queue(A), room.queue(B)
    waits = room._records[f"{first.guild}.{first.job}"]
    room.becomes(first, JobState.CANCELLED)
    room.turns.see(waits)
    assert room.next(second) == [second]
    room.becomes(second, JobState.SUCCEEDED)
    assert room.turns.oldest_waiting() is None


def test_a_turn_that_nobody_takes_is_given_to_the_others_after_a_while(room: Room) -> None:
    lost, job = room.queue(A), room.queue(B)
    while room.now < WAITED_FOR:
        assert room.next(job) == []
        room.now += 0.5
    room.now += 0.5
    assert room.next(job) == [job]
    room.becomes(lost, JobState.QUEUED, published=1)
    assert room.next(job) == [], "it was found again"


def test_only_the_time_counts_in_which_somebody_waits(room: Room) -> None:
    room.queue(A)
    job = room.queue(B)
    assert room.next(job) == []
    room.now += WAITED_FOR + AWAY  # all slots were in use
    assert room.next(job) == []


def test_the_oldest_of_those_that_wait_is_known(room: Room) -> None:
    assert room.turns.oldest_waiting() is None
    first, second = room.queue(A), room.queue(B)
    since_first = (datetime.now(UTC) - first.submitted_at).total_seconds()
    assert room.turns.oldest_waiting() == pytest.approx(since_first, abs=5)
    room.start(first, 0)
    room.becomes(second, JobState.QUEUED, claims=1, updated_at=datetime.now(UTC))
    assert room.turns.oldest_waiting() == pytest.approx(0, abs=5), "it came back into the queue just now"


def test_each_end_is_told_once_whoever_ran_the_job(room: Room) -> None:
    tried_again, job = room.queue(A), room.queue(B)
    for state in (JobState.RUNNING, JobState.FAILED, JobState.FAILED, JobState.QUEUED, JobState.SUCCEEDED):
        room.becomes(tried_again, state)
    room.becomes(job, JobState.CANCELLED)
    assert [record.state for record in room.ended] == [
        JobState.FAILED,
        JobState.SUCCEEDED,
        JobState.CANCELLED,
    ]


async def test_all_that_is_there_is_read_before_the_first_question() -> None:
    turns = Turns(stored(JobRecord(state=JobState.QUEUED, job=a_job(guild=A), updated_at=AT)))
    await turns.read()
    assert not turns.is_next(a_job("bbbbbbbbbb", guild=B, submitted_at=AT + timedelta(seconds=1)))


async def test_what_had_ended_before_is_no_news_and_what_ends_unseen_is() -> None:
    before = JobRecord(state=JobState.FAILED, job=a_job(guild=A), updated_at=AT)
    after = JobRecord(state=JobState.FAILED, job=a_job("bbbbbbbbbb", guild=A), updated_at=AT)
    ended: list[JobRecord] = []
    turns = Turns(stored(before), ended.append)
    await turns.read()
    for record in (before, after):
        turns.see(Entry(record.key, record, 2))
    assert ended == [after]


def stored(record: JobRecord) -> Bucket[JobRecord]:
    """A bucket with one record."""

    class Stored:
        async def entries(self) -> list[Entry[JobRecord]]:
            return [Entry(record.key, record, 1)]

    return Stored()  # type: ignore[return-value]
