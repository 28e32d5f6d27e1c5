"""Admission: bounded lines that take turns, a slot for every newcomer, and a time for who is sent away."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from chorus.common.contracts.generation import Waiting
from chorus.common.errors import Unavailable
from chorus.inference.generation import admission as admission_module
from chorus.inference.generation.admission import GUESS, LATELY, LATEST, SPREAD, Admission
from chorus.inference.metrics import InferenceMetrics

REGISTRY = CollectorRegistry()
METRICS = InferenceMetrics(REGISTRY)


def admission(at_once: int = 64, waiting: int = 256, guild_waiting: int = 64) -> Admission:
    return Admission(at_once=at_once, waiting=waiting, guild_waiting=guild_waiting, metrics=METRICS)


async def unheard(_: Waiting) -> None:
    pass


class Guests:
    """Requests, each a task that keeps its slot until it is let go."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.tasks: list[asyncio.Task[None]] = []
        self.held: list[tuple[str, asyncio.Event]] = []
        """Guilds of those that have a slot, in the order in which they got it."""
        self.told: list[str] = []

    async def ask(self, guild: str, count: int = 1) -> list[asyncio.Task[None]]:
        new = [asyncio.create_task(self._one(guild)) for _ in range(count)]
        self.tasks += new
        await self.settled()
        return new

    async def _one(self, guild: str) -> None:
        async def tell(why: Waiting) -> None:
            self.told.append(why.text)

        with self.admission.place(guild) as place:
            async with place.turn(tell):
                mine = (guild, asyncio.Event())
                self.held.append(mine)
                try:
                    await mine[1].wait()
                finally:
                    self.held.remove(mine)

    async def let_go(self, index: int = 0) -> None:
        self.held[index][1].set()
        await self.settled()

    async def settled(self) -> None:
        for _ in range(6):  # the longest way from a set event to whoever it lets in
            await asyncio.sleep(0)

    def of(self, guild: str) -> int:
        return sum(name == guild for name, _ in self.held)


@asynccontextmanager
async def guests(**how: int) -> AsyncIterator[Guests]:
    """Whatever happened: in the end all slots are free, and nobody is remembered."""
    these = Guests(admission(**how))
    yield these
    for task in these.tasks:
        task.cancel()
    await asyncio.gather(*these.tasks, return_exceptions=True)
    (again,) = await these.ask("newcomer")
    assert these.of("newcomer") == 1
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert these.admission.waiting == 0


def refused(task: asyncio.Task[None]) -> Unavailable:
    error = task.exception()
    assert isinstance(error, Unavailable)
    return error


async def test_a_lone_guild_has_nearly_all_and_a_newcomer_a_slot_at_once() -> None:
    async with guests(at_once=64) as hall:
        await hall.ask("a", 120)
        assert hall.of("a") == 56
        await hall.ask("b")
        assert hall.of("b") == 1
        await hall.ask("c", 3)
        assert hall.of("c") == 3


async def test_a_single_slot_is_had_by_who_comes_first() -> None:
    async with guests(at_once=1) as hall:
        await hall.ask("a", 2)
        await hall.ask("b")
        await hall.ask("a")
        got = [hall.held[0][0]]
        for _ in range(3):
            await hall.let_go()
            got.append(hall.held[0][0])
        assert got == ["a", "a", "b", "a"]


async def test_guilds_take_turns_however_many_one_has_in_line() -> None:
    async with guests(at_once=2) as hall:
        await hall.ask("a", 20)
        await hall.ask("b", 2)
        await hall.ask("c", 2)
        got = []
        for _ in range(6):
            await hall.let_go()
            got.append(hall.held[-1][0])
        assert got[0] == "b", "who has none comes before who has one"
        assert sorted(got[:3]) == sorted(got[3:]) == ["a", "b", "c"]


async def test_beside_one_who_asked_lately_a_guild_has_half_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: at)
    async with guests(at_once=64) as hall:
        await hall.ask("quiet")
        await hall.let_go()
        await hall.ask("loud", 100)
        assert hall.of("loud") == 32
        at += LATELY + 1
        await hall.ask("loud", 1)
        await hall.let_go()
        assert hall.of("loud") == 56, "nobody else has asked for a while"


async def test_two_guilds_share_evenly() -> None:
    async with guests(at_once=64) as hall:
        await hall.ask("a", 100)
        await hall.ask("b", 60)
        for _ in range(60):
            await hall.let_go()
        assert abs(hall.of("a") - hall.of("b")) <= 1


async def test_the_line_of_a_guild_has_an_end() -> None:
    async with guests(at_once=8, guild_waiting=3) as hall:
        asked = await hall.ask("a", 7 + 3 + 2)
        assert [task.done() for task in asked] == [False] * 10 + [True] * 2
        error = refused(asked[-1])
        assert error.code == "busy"
        assert re.fullmatch(r"The model is busy, 3 ahead: try again in \d+ s\.", error.message)
        (other,) = await hall.ask("b")
        assert not other.done()


async def test_all_lines_together_have_an_end() -> None:
    async with guests(at_once=2, waiting=4) as hall:
        for guild in "abc":
            await hall.ask(guild, 2)
        (late,) = await hall.ask("c")
        assert refused(late).code == "busy"
        assert "4 ahead" in refused(late).message


async def test_a_few_guilds_that_fill_the_line_keep_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "NEWCOMERS", 1)
    async with guests(at_once=2, waiting=4) as hall:
        for guild in "abc":
            await hall.ask(guild, 2)
        newcomer, more = await hall.ask("d", 2)
        assert not newcomer.done()
        assert refused(more).code == "busy", "one, not a line of its own"
        (later,) = await hall.ask("e")
        assert refused(later).code == "busy", "not without end"


async def test_where_nobody_may_wait_a_free_slot_is_still_had() -> None:
    async with guests(at_once=2, waiting=0, guild_waiting=0) as hall:
        asked = await hall.ask("a", 3)
        assert [task.done() for task in asked] == [False, False, True]


async def test_a_burst_that_is_sent_away_is_told_to_come_back_one_after_the_other() -> None:
    async with guests(at_once=64, guild_waiting=64) as hall:
        asked = await hall.ask("a", 500)
        away = [refused(task).retry_after or 0 for task in asked if task.done()]
        assert len(away) == 500 - 56 - 64
        ranks = sorted(range(len(away)), key=lambda at: away[at])
        assert abs(sum(ranks[:50]) / 50 - 25) < 25, "the first ones first"
        assert max(away) <= LATEST
        each_second = [sum(second <= wait < second + 1 for wait in away) for second in range(30)]
        pace = 56 / GUESS / SPREAD[0]
        assert max(each_second) <= pace, "as slots become free, and not all at once"


async def test_what_is_told_follows_how_long_replies_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(admission_module.time, "monotonic", lambda: now)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)

    async def told_after_replies_of(seconds: float) -> float:
        nonlocal now
        async with guests(at_once=1, guild_waiting=1) as hall:
            await hall.ask("a", 2)
            for _ in range(60):
                now += seconds
                await hall.let_go()
                await hall.ask("a")
            (late,) = await hall.ask("a")
            return refused(late).retry_after or 0

    assert await told_after_replies_of(0.5) == pytest.approx(0.5, rel=0.05)
    assert await told_after_replies_of(8) == pytest.approx(8, rel=0.05)


async def test_who_waits_is_told_how_many_are_ahead_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "TELL_EVERY", 0.02)
    async with guests(at_once=1) as hall:
        await hall.ask("a", 3)
        assert hall.told == ["next in line", "1 ahead"]
        async with asyncio.timeout(5):
            while len(hall.told) < 4:
                await asyncio.sleep(0.01)


async def test_who_need_not_wait_is_told_nothing() -> None:
    async with guests() as hall:
        await hall.ask("a", 3)
        assert hall.told == []


async def test_who_leaves_frees_the_slot_or_the_place_in_line_at_once() -> None:
    async with guests(at_once=1, guild_waiting=1) as hall:
        first, second = await hall.ask("a", 2)
        second.cancel()
        await hall.settled()
        assert hall.admission.waiting == 0
        (third,) = await hall.ask("a")
        assert not third.done(), "there is a place in line again"
        first.cancel()
        await hall.settled()
        assert hall.of("a") == 1


async def test_who_cannot_be_told_is_not_waited_for() -> None:
    async with guests(at_once=1) as hall:
        await hall.ask("a")

        async def gone(_: Waiting) -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError), hall.admission.place("a") as place:
            async with place.turn(gone):
                raise AssertionError
        assert hall.admission.waiting == 0


async def test_a_stop_hands_back_what_waits_and_leaves_what_is_being_written() -> None:
    hall = Guests(admission(at_once=1))
    writing, waiting = await hall.ask("a", 2)
    hall.admission.close()
    await hall.settled()
    assert refused(waiting).code == "shutting_down"
    (new,) = await hall.ask("b")
    assert refused(new).code == "shutting_down"
    assert not writing.done()
    await hall.let_go()
    assert writing.done()
    assert writing.exception() is None


async def test_who_is_still_being_made_ready_at_a_stop_is_handed_back_at_its_turn() -> None:
    hall = admission(at_once=1)
    with hall.place("a") as place:
        hall.close()
        with pytest.raises(Unavailable) as error:
            async with place.turn(unheard):
                raise AssertionError
    assert error.value.code == "shutting_down"


deeds = st.lists(
    st.tuples(st.sampled_from(["ask", "leave", "end"]), st.sampled_from("abcd"), st.integers(0, 30)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(deeds, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_whoever_comes_and_goes_no_slot_is_lost(
    deeds: list[tuple[str, str, int]], at_once: int, waiting: int, guild_waiting: int
) -> None:
    async def live() -> None:
        async with guests(at_once=at_once, waiting=waiting, guild_waiting=guild_waiting) as hall:
            for deed, guild, which in deeds:
                if deed == "ask":
                    await hall.ask(guild)
                elif deed == "leave" and hall.tasks:
                    hall.tasks[which % len(hall.tasks)].cancel()
                    await hall.settled()
                elif deed == "end" and hall.held:
                    await hall.let_go(which % len(hall.held))
                assert len(hall.held) <= at_once
                assert hall.admission.waiting <= waiting + len("abcd"), "one more for each"
                if hall.admission.waiting:
                    assert hall.held, "nobody waits for nothing"

    asyncio.run(live())


async def test_lines_and_waits_are_measured() -> None:
    before = REGISTRY.get_sample_value("chorus_request_waiting_seconds_count") or 0
    async with guests(at_once=1) as hall:
        await hall.ask("a", 4)
        assert REGISTRY.get_sample_value("chorus_requests_waiting") == 3
        await hall.let_go()
        assert REGISTRY.get_sample_value("chorus_requests_waiting") == 2
        assert REGISTRY.get_sample_value("chorus_request_waiting_seconds_count") == before + 2
