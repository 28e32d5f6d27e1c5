"""One GPU for training and for answering: both sides as they ship, hours of it, with deaths in between.

Only the engine, the children and the bucket are doubles, on a clock that waits for nobody.
"""

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chorus.common.bus.state import Entry
from chorus.common.contracts.generation import Served
from chorus.common.contracts.leases import Lease
from chorus.common.contracts.training import JobRecord, JobState
from chorus.common.errors import InternalError, InvalidInput, TimedOut
from chorus.inference.generation.lease import SharedGpu as Answering
from chorus.trainer.training.gpu import WAITS
from chorus.trainer.training.gpu import SharedGpu as Training
from chorus.trainer.training.journal import Journal
from chorus.trainer.training.report import Trained
from tests.support.gpu import AJournal, AnEngine, Gpu, Leases, Process, VirtualLoop, trained
from tests.unit.trainer.made import AT, a_job

TRAINING, ANSWERING = 120.0, 60.0  # seconds
DRAINS, STARTS, SAVES = 8.0, 40.0, 3  # seconds
HOURS = 4 * 3600.0  # seconds: by then all must have ended well
RESTARTED, REDELIVERED = 5.0, 60.0  # seconds until a supervisor, or the queue, begins again
WORK = 150  # seconds that each job needs: two windows


class Machine:
    """A GPU, inference, two jobs that want to be trained, and who can die."""

    def __init__(self) -> None:
        self.gpu = Gpu()
        self.stored: dict[str, Entry[Lease]] = {}
        self.journals = {job: AJournal(_record(job)) for job in ("aaaaaaaaaa", "bbbbbbbbbb")}
        self.trainers: dict[str, tuple[Process, asyncio.Task[Trained | None]]] = {}
        self.pause = asyncio.Event()
        self.inference = Process()
        self.engine = AnEngine(self.gpu, "nobody's")
        self.serves = False
        self.turns: list[str] = []
        """Whose children had the GPU."""
        self._stop = asyncio.Event()

    def clock(self) -> datetime:
        return AT + timedelta(seconds=asyncio.get_running_loop().time())

    @property
    def lease(self) -> Lease:
        return self.stored["gpu"].value

    # --- inference -------------------------------------------------------------------------------
    async def answer(self, begins: float = 0.0) -> None:
        """Inference, again and again, as a supervisor does it; it can be asked when its engine is there."""
        await asyncio.sleep(begins)
        for life in itertools.count():
            self.inference, self._stop = Process(), asyncio.Event()
            self.engine = AnEngine(self.gpu, f"engine {life}", drains=DRAINS, starts=STARTS)
            try:
                await self._one_life(f"inference {life}")
            except asyncio.CancelledError:
                if not self.inference.dead or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                    raise
            self.serves = False
            self.engine.die()
            await asyncio.sleep(RESTARTED)

    async def _one_life(self, instance: str) -> None:
        shared = Answering(
            Leases(self.stored, self.inference),
            "gpu",
            self.engine,
            instance=instance,
            training_window=TRAINING,
            answering_window=ANSWERING,
            clock=self.clock,
        )
        async with shared:
            if self.engine.asleep_until is None:
                await self.engine.start()
            self.serves = True
            running = asyncio.create_task(shared.run())
            try:
                await self._stop.wait()
            finally:
                running.cancel()
                await asyncio.wait({running})
                self.engine.die()

    async def served(self) -> Served | None:
        if not self.serves:
            return None
        if self.inference.is_stopped:
            raise TimedOut("No answer.")
        return cast(Served, SimpleNamespace(state="ready" if self.engine.is_ready else "asleep"))

    # --- trainers --------------------------------------------------------------------------------
    async def train(self, job: str) -> Trained | None:
        """A job, again and again, as the queue does it."""
        for life in itertools.count():
            process = Process()
            shared = Training(
                Leases(self.stored, process), "gpu", self.served, worker=f"{job} {life}", clock=self.clock
            )
            attempt = partial(self.attempt, process, job)
            task = asyncio.create_task(shared.train(cast(Journal, self.journals[job]), self.pause, attempt))
            self.trainers[job] = process, task
            await asyncio.wait({task})
            if not task.cancelled():
                return task.result()
            await asyncio.sleep(REDELIVERED)
        raise AssertionError

    async def attempt(
        self, process: Process, job: str, stop: asyncio.Event, until: datetime | None
    ) -> Trained | None:
        """The child: told to stop by a parent that runs, ending itself at `until`, dead with its parent."""
        assert until is not None
        await process.running()
        journal = self.journals[job]
        learned = journal.record.checkpoint.step if journal.record.checkpoint else 0
        self.gpu.enter(job)
        self.turns.append(job)
        try:
            left = SAVES
            while learned < WORK and left and self.clock() < until:
                await asyncio.sleep(1)
                stopping = stop.is_set() and not process.is_stopped
                learned, left = (learned, left - 1) if stopping else (learned + 1, left)
        finally:
            self.gpu.leave(job)
        await process.running()
        if learned >= WORK:
            return trained(WORK)
        if left:
            raise InternalError("The training process died.")
        journal.learned(learned, self.clock())
        return None

    # --- what goes wrong -------------------------------------------------------------------------
    async def suffer(self, fault: "Fault") -> None:
        await asyncio.sleep(fault.at)
        if fault.who == "inference":
            process, task = self.inference, None
        elif fault.who in self.trainers:
            process, task = self.trainers[fault.who]
        else:
            return
        if fault.kind == "stopped":
            await process.stopped_for(fault.seconds)
            return
        process.dead = fault.kind == "killed"
        if task is not None:
            task.cancel()
        self._stop.set() if task is None else None


@dataclass(frozen=True)
class Fault:
    """What happens to whom, when, and for how long (seconds)."""

    at: float
    who: Literal["inference", "aaaaaaaaaa", "bbbbbbbbbb"]
    kind: Literal["killed", "stopped", "ended"]
    seconds: float = 0.0


FAULTS = st.lists(
    st.builds(
        Fault,
        at=st.floats(0, 900),
        who=st.sampled_from(["inference", "aaaaaaaaaa", "bbbbbbbbbb"]),
        kind=st.sampled_from(["killed", "stopped", "ended"]),
        seconds=st.floats(1, 400),
    ),
    max_size=5,
)


def _record(job: str) -> JobRecord:
    return JobRecord(state=JobState.RUNNING, job=a_job(job), updated_at=AT)


def played(play: Coroutine[Any, Any, None]) -> None:
    """Run it on a clock that waits for nobody."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(play)


async def until(holds: Any, within: float) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.5)


@given(st.floats(0, 200), FAULTS)
@settings(max_examples=10, deadline=None)
@example(0, [Fault(30, "inference", "killed"), Fault(45, "aaaaaaaaaa", "stopped", 300)])
@example(0, [Fault(10, "bbbbbbbbbb", "stopped", 120), Fault(48, "aaaaaaaaaa", "stopped", 60)])
def test_never_both_on_the_gpu_every_job_is_done_and_answers_come_back(
    begins: float, faults: list[Fault]
) -> None:
    async def play() -> None:
        machine = Machine()
        answering = asyncio.create_task(machine.answer(begins))
        suffering = [asyncio.create_task(machine.suffer(fault)) for fault in faults]
        async with asyncio.timeout(HOURS):
            jobs = await asyncio.gather(
                *(machine.train(job) for job in machine.journals), return_exceptions=True
            )
        for job in jobs:
            if isinstance(job, BaseException):  # stopped in one window after the other
                assert isinstance(job, InvalidInput), job
                assert job.code == "window_too_short"
            else:
                assert job == trained(WORK)
        await asyncio.gather(*suffering)
        await until(lambda: machine.engine.is_ready, within=HOURS)
        assert not machine.gpu.clashes
        answering.cancel()

    played(play())


def test_windows_are_capped_and_each_job_has_its_turn() -> None:
    async def play() -> None:
        machine = Machine()
        answering = asyncio.create_task(machine.answer())
        await until(lambda: machine.serves, within=60)
        first = machine.engine
        jobs = asyncio.gather(*(machine.train(job) for job in machine.journals))
        grants: list[tuple[datetime, datetime]] = []
        ready: list[float] = []
        while not jobs.done():
            was_ready = first.is_ready
            await asyncio.sleep(1)
            if first.is_ready:
                ready[-1:] = [ready[-1] + 1] if was_ready and ready else [*ready[-1:], 0]
            lease = machine.lease
            if lease.state == "granted" and lease.until and (not grants or grants[-1][1] != lease.until):
                grants.append((lease.at, lease.until))
        assert len(machine.turns) == 4
        assert machine.turns[0] == machine.turns[2] != machine.turns[1] == machine.turns[3], "in turn"
        assert machine.engine is first
        for at, until_ in grants:
            assert until_ - at <= timedelta(seconds=TRAINING)
        for (_, before), (at, _) in itertools.pairwise(grants):
            assert at - before >= timedelta(seconds=ANSWERING - TRAINING)
        assert not machine.gpu.clashes
        assert all(journal.idles for journal in machine.journals.values()), "what it waits is no work"
        assert all(set(journal.stages) == {WAITS} for journal in machine.journals.values())
        answering.cancel()

    played(play())


def test_a_window_is_whole_however_long_the_engine_needs_to_finish() -> None:
    async def play() -> None:
        machine = Machine()
        answering = asyncio.create_task(machine.answer())
        await until(lambda: machine.serves, within=60)
        training = asyncio.create_task(machine.train("aaaaaaaaaa"))
        await until(lambda: machine.lease.is_held, within=120)
        lease = machine.lease
        assert lease.until == machine.engine.slept[0] + timedelta(seconds=DRAINS)
        await until(lambda: machine.engine.asleep_until == lease.until, within=5)
        training.cancel()
        answering.cancel()

    played(play())


def test_an_engine_that_could_not_sleep_is_told_again() -> None:
    class Sleepless(AnEngine):
        async def sleep(self, until: datetime) -> None:
            await super().sleep(until)
            if len(self.slept) == 1:
                raise InternalError("It does not sleep.")

    async def play() -> None:
        lease = Lease(state="taken", at=AT, until=AT + timedelta(seconds=TRAINING))
        stored = {"gpu": Entry("gpu", lease, 1)}
        engine = Sleepless(Gpu(), "engine")
        shared = Answering(
            Leases(stored, Process()),
            "gpu",
            engine,
            instance="i",
            training_window=TRAINING,
            answering_window=ANSWERING,
            clock=lambda: AT,
        )
        with pytest.raises(InternalError):
            await shared.look()
        await shared.look()
        assert len(engine.slept) == 2

    played(play())


def test_a_job_that_gets_no_further_in_its_windows_fails_and_says_so() -> None:
    async def play() -> None:
        machine = Machine()
        answering = asyncio.create_task(machine.answer())
        stuck = machine.journals["aaaaaaaaaa"]
        stuck.learned = lambda step, at: None  # type: ignore[method-assign]
        with pytest.raises(InvalidInput, match="CHORUS_TRAINING_WINDOW") as refused:
            await machine.train("aaaaaaaaaa")
        assert refused.value.code == "window_too_short"
        assert len(machine.turns) == 3
        answering.cancel()

    played(play())


def test_who_asks_for_answers_after_a_training_waits_until_the_engine_is_awake() -> None:
    async def play() -> None:
        machine = Machine()
        answering = asyncio.create_task(machine.answer())
        await until(lambda: machine.serves, within=60)
        await machine.train("aaaaaaaaaa")
        assert not machine.engine.is_ready
        shared = Training(
            Leases(machine.stored, Process()), "gpu", machine.served, worker="x", clock=machine.clock
        )
        await shared.answers()
        assert machine.engine.is_ready
        machine.serves = False
        machine.engine.is_ready = False
        await shared.answers()  # nobody is there to be waited for
        answering.cancel()

    played(play())
