"""One engine kept alive: what dies is followed by another, what it was asked is asked anew; it can sleep."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from chorus.common.contracts.wire import now
from chorus.common.errors import InvalidInput, Misconfigured, Unavailable
from chorus.inference.generation.host import Host
from chorus.inference.generation.life import Patience
from chorus.inference.generation.ports import Adapter
from tests.unit.inference.engines import QUICK, Double, Starts, Told, metrics, until, work

ADAPTER = Adapter("1/main@3", "0" * 64, Path("main"))
SOON = now() + timedelta(hours=1)


@asynccontextmanager
async def kept(
    *engines: Double | Exception, patience: Patience = QUICK, sleep: Literal["engine", "weights"] = "engine"
) -> AsyncGenerator[tuple[Host, Starts]]:
    """A host whose engines are these, then plain ones; it is kept alive meanwhile."""
    starts = Starts(list(engines))
    host = Host(starts, metrics(), patience=patience, sleep=sleep)
    await host.open()
    keeper = asyncio.create_task(host.keep())
    try:
        yield host, starts
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError, Unavailable):
            await keeper
        await host.close()


async def said(host: Host, adapter: Adapter | None = None) -> str:
    return "".join([piece.text async for piece in host.generate(work(adapter))])


async def refused(host: Host) -> Unavailable:
    with pytest.raises(Unavailable) as error:
        await said(host)
    return error.value


async def test_it_answers_as_its_engine_does() -> None:
    async with kept() as (host, _):
        assert (host.window, host.max_rank, host.capacity, host.state) == (64, 8, 2, "ready")
        assert await said(host) == "The cat."
        assert await host.score([1, 2, 3], 1, None) == [-1.0, -1.0]
        assert host.wrong() is None


async def test_what_cannot_be_started_at_first_is_told_at_once() -> None:
    host = Host(Starts([Misconfigured("no such model")]), metrics())
    with pytest.raises(Misconfigured):
        await host.open()


async def test_a_question_that_had_no_word_yet_is_asked_of_the_next_engine() -> None:
    forgotten: list[str] = []
    async with kept(Double(dies_at=0)) as (host, starts):
        host.on_start(lambda: forgotten.append("all"))
        await host.load(ADAPTER)
        assert await said(host, ADAPTER) == "The cat."
        first, second = starts.done
        assert isinstance(first, Double)
        assert isinstance(second, Double)
        assert first.told == ["close"]
        assert second.loaded == [ADAPTER.name], "the new one knew no adapters"
        assert forgotten == ["all"]


async def test_who_is_caught_by_a_death_hears_that_an_engine_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chorus.inference.generation.waiting.SOON", 0.0)
    told = Told()
    async with kept(Double(dies_at=0)) as (host, _):
        asked = replace(work(), tell=told)
        assert [piece.text async for piece in host.generate(asked)] == ["The ", "cat.", ""]
    assert {each.code for each in told.all} == {"starting"}


async def test_what_is_not_to_be_asked_again_is_asked_once() -> None:
    async with kept(Double(dies_at=0)) as (host, starts):
        with pytest.raises(Unavailable) as error:
            await anext(host.generate(replace(work(), again=False)))
        assert error.value.code == "engine_died"
        assert await said(host) == "The cat."
        assert len(starts.done) == 2


async def test_an_adapter_that_an_engine_dies_of_is_not_given_to_the_next_one() -> None:
    class Mortal(Double):
        async def load(self, adapter: Adapter) -> None:
            self.die()
            self._check()

    async with kept(Mortal()) as (host, starts):
        with pytest.raises(InvalidInput) as error:
            await host.load(ADAPTER)
        assert error.value.code == "unsupported_adapter"
        await until(lambda: len(starts.done) == 2)
        second = starts.done[1]
        assert isinstance(second, Double)
        assert second.loaded == []


async def test_an_adapter_that_comes_after_a_death_is_not_blamed_for_it() -> None:
    first = Double()
    async with kept(first) as (host, starts):
        first.die()
        await host.load(ADAPTER)
        second = starts.done[1]
        assert isinstance(second, Double)
        assert second.loaded == [ADAPTER.name]


async def test_a_score_is_asked_for_again_too() -> None:
    async with kept(Double(dies_at=0)) as (host, _):
        assert await host.score([1, 2, 3], 2, ADAPTER) == [-1.0]


async def test_an_answer_that_had_begun_ends_with_a_clear_code() -> None:
    async with kept(Double(dies_at=1)) as (host, _):
        error = await refused(host)
        assert (error.code, error.retryable, error.retry_after is not None) == ("engine_died", True, True)
        assert await said(host) == "The cat.", "and the next question is answered"


async def test_a_question_is_asked_twice_and_not_more() -> None:
    async with kept(Double(dies_at=0), Double(dies_at=0)) as (host, _):
        assert (await refused(host)).code == "engine_died"
        assert await said(host) == "The cat."


async def test_what_is_wrong_with_a_question_is_no_death() -> None:
    class Picky(Double):
        async def load(self, adapter: Adapter) -> None:
            raise Misconfigured("not this one")

    async with kept(Picky()) as (host, starts):
        with pytest.raises(Misconfigured):
            await host.load(ADAPTER)
        assert await said(host) == "The cat."
        assert len(starts.done) == 1


async def test_an_engine_that_dies_in_silence_is_followed_by_another() -> None:
    first = Double()
    async with kept(first) as (host, starts):
        first.die()
        await until(lambda: len(starts.done) == 2 and host.wrong() is None)
        assert host.state == "ready"


async def test_a_dead_engine_has_forgotten_its_adapters() -> None:
    first = Double()
    async with kept(first) as (host, starts):
        await host.load(ADAPTER)
        first.die()
        await host.unload(ADAPTER)
        await until(lambda: len(starts.done) == 2)


async def test_who_waits_for_an_engine_is_told_and_in_the_end_refused() -> None:
    patience = replace(QUICK, first_delay=60, wait=0.05)
    first, told = Double(), Told()
    async with kept(first, patience=patience) as (host, _):
        first.die()
        await until(lambda: host.state == "starting")
        assert host.wrong() == "the engine is being started"
        error = await refused(host)
        assert (error.code, error.retry_after) == ("engine_starting", 1)
        with pytest.raises(Unavailable):
            await host.ready(told)


async def test_who_waits_for_an_engine_hears_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chorus.inference.generation.waiting.SOON", 0.0)
    first, told = Double(), Told()
    async with kept(first, patience=replace(QUICK, first_delay=0.1)) as (host, _):
        first.die()
        await until(lambda: host.state == "starting")
        await host.ready(told)
    assert [each.code for each in told.all] == ["starting"]
    assert "about" in told.all[0].text


async def test_the_delay_grows_and_in_the_end_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        delays.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    patience = Patience(first_delay=0.5, longest_delay=1, look=0.001, deaths=4)
    first = Double()
    starts = Starts([first, *(Misconfigured("no memory") for _ in range(9))])
    host = Host(starts, metrics(), patience=patience)
    await host.open()
    first.die()
    with pytest.raises(Unavailable) as given_up:
        await host.keep()
    assert given_up.value.code == "gave_up"
    assert delays == [0.5, 1, 1]


async def test_an_engine_that_lived_long_is_followed_soon_again() -> None:
    """Without that, these would take 20 seconds."""
    engines = [Double() for _ in range(12)]
    patience = replace(QUICK, steady=0, deaths=99, first_delay=0.005, longest_delay=60)
    async with kept(*engines, patience=patience) as (host, starts):
        for number, engine in enumerate(engines, 1):
            await until(lambda: host.state == "ready")
            engine.die()
            await until(lambda number=number: len(starts.done) > number)


async def test_one_that_others_start_is_never_given_up() -> None:
    engines = [Unavailable("not there") for _ in range(9)]
    first = Double()
    async with kept(first, *engines, patience=replace(QUICK, within=0)) as (host, _):
        first.die()
        await until(lambda: host.state == "starting")
        assert await said(host) == "The cat."


async def test_while_it_sleeps_it_refuses_and_says_until_when() -> None:
    first = Double()
    async with kept(first) as (host, starts):
        await host.sleep(SOON)
        assert (first.told, host.state, host.until) == (["close"], "asleep", SOON)
        assert host.wrong() is None, "a stack that starts in a training's time is ready all the same"
        error = await refused(host)
        left = (SOON - now()).total_seconds()
        assert (error.code, error.retry_after) == ("engine_asleep", pytest.approx(left, abs=30))
        assert f"{SOON:%H:%M} UTC" in error.message
        await host.wake()
        assert (await said(host), len(starts.done), host.until) == ("The cat.", 2, None)


async def test_what_is_being_written_is_finished_before_it_sleeps() -> None:
    first = Double()
    async with kept(first) as (host, _):
        first.held.clear()
        answer = asyncio.create_task(said(host))
        await until(lambda: not host._in_hand.is_none)  # pyright: ignore[reportPrivateUsage]
        asleep = asyncio.create_task(host.sleep(SOON))
        await until(lambda: host.state == "asleep")
        assert (await refused(host)).code == "engine_asleep", "but nothing new is begun"
        assert first.told == []
        first.held.set()
        assert await answer == "The cat."
        await asleep
        assert first.told == ["close"]


async def test_what_is_written_for_too_long_is_broken_off_when_it_has_to_sleep() -> None:
    first = Double()
    async with kept(first, patience=replace(QUICK, grace=0.01)) as (host, _):
        first.held.clear()
        answer = asyncio.create_task(refused(host))
        await until(lambda: not host._in_hand.is_none)  # pyright: ignore[reportPrivateUsage]
        await host.sleep(SOON)
        assert (await answer).code == "engine_asleep"
        assert first.told == ["close"]


async def test_who_does_not_take_what_is_written_keeps_nobody_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chorus.inference.generation.in_hand.LEAVES_WITHIN", 0.0)
    first = Double()
    async with kept(first, patience=replace(QUICK, grace=0.01)) as (host, _):
        pieces = host.generate(work())
        await anext(pieces)
        await host.sleep(SOON)
        assert first.told == ["close"]
        await pieces.aclose()


async def test_one_that_sleeps_already_learns_until_when() -> None:
    first = Double()
    async with kept(first, sleep="weights") as (host, _):
        await host.sleep(SOON)
        await host.sleep(SOON + timedelta(minutes=1))
        assert (host.until, first.told) == (SOON + timedelta(minutes=1), ["sleep"])


async def test_one_that_does_not_sleep_ends() -> None:
    class Sleepless(Double):
        async def sleep(self) -> None:
            raise RuntimeError("no memory")

    first = Sleepless()
    async with kept(first, sleep="weights") as (host, starts):
        await host.sleep(SOON)
        assert first.told == ["close"]
        await host.wake()
        assert (await said(host), len(starts.done)) == ("The cat.", 2)


async def test_one_that_was_started_before_the_delay_was_over_is_let_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delayed, over = asyncio.Event(), asyncio.Event()

    async def delay(_: float) -> None:
        delayed.set()
        await over.wait()

    first, second = Double(), Double()
    async with kept(first, second, sleep="weights") as (host, starts):
        with monkeypatch.context() as patch:
            patch.setattr("chorus.inference.generation.life.asyncio.sleep", delay)
            first.die()
            await delayed.wait()
        await host.sleep(SOON)
        await host.wake()
        over.set()
        second.die()
        await until(lambda: len(starts.done) == 3 and host.state == "ready")
        assert second.told == ["close"]


async def test_weights_may_stay_in_memory() -> None:
    first, forgotten = Double(), list[str]()
    async with kept(first, sleep="weights") as (host, _):
        host.on_start(lambda: forgotten.append("all"))
        await host.sleep(SOON)
        await host.wake()
        assert (first.told, forgotten) == (["sleep", "wake"], ["all"])
        assert await said(host) == "The cat."


async def test_one_that_is_to_sleep_from_the_first_starts_when_it_wakes() -> None:
    starts = Starts()
    host = Host(starts, metrics(), patience=QUICK)
    await host.sleep(SOON)
    await host.open()
    assert starts.done == []
    await host.wake()
    assert await said(host) == "The cat."
    await host.close()


async def test_one_that_cannot_be_woken_is_started_as_after_a_death() -> None:
    async with kept(Double(), RuntimeError("no memory")) as (host, starts):
        await host.sleep(SOON)
        await host.wake()
        assert await said(host) == "The cat."
        assert len(starts.done) == 3


async def test_an_engine_that_is_being_started_at_the_end_is_ended_too() -> None:
    starts = Starts()
    host = Host(starts, metrics(), patience=QUICK)
    opening = asyncio.create_task(host.open())
    await asyncio.sleep(0)
    opening.cancel()
    await host.close()
    for engine in starts.done:
        assert isinstance(engine, Double)
        assert engine.told == ["close"]
    assert (await refused(host)).code == "engine_died"
