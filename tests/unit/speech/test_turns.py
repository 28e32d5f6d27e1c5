"""One after another, and no guild more than its share."""

import asyncio

import pytest

from chorus.common.errors import QueueFull, Unavailable
from chorus.speech.voice.turns import Turns


async def test_one_at_a_time_in_order() -> None:
    turns, seen, at_work = Turns(of_a_guild=3, patience=5), list[int](), 0

    async def work(number: int) -> None:
        nonlocal at_work
        async with turns.turn("1"):
            at_work += 1
            assert at_work == 1
            await asyncio.sleep(0.001)
            seen.append(number)
            at_work -= 1

    await asyncio.gather(*(work(number) for number in range(3)))
    assert seen == [0, 1, 2]


async def test_a_guild_with_its_share_in_line_is_told_so_and_others_are_not() -> None:
    turns, done = Turns(of_a_guild=1, patience=5), asyncio.Event()

    async def hold() -> None:
        async with turns.turn("1"):
            await done.wait()

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as error:
        async with turns.turn("1"):
            pass
    assert error.value.code == "speech_queue_full"

    async def other() -> None:
        async with turns.turn("2"):
            pass

    waiting = asyncio.create_task(other())
    done.set()
    await asyncio.gather(holding, waiting)
    async with turns.turn("1"):
        pass


async def test_a_guild_with_a_long_line_lets_another_one_in_after_each_turn() -> None:
    turns, seen = Turns(of_a_guild=4, patience=5), list[str]()

    async def work(guild: str) -> None:
        async with turns.turn(guild):
            seen.append(guild)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(guild) for guild in "aaaabbc"))
    assert "".join(seen) == "aabcaba"


async def test_patience_ends() -> None:
    turns = Turns(of_a_guild=2, patience=0.01)
    async with turns.turn("1"):
        with pytest.raises(Unavailable) as error:
            async with turns.turn("2"):
                pass
    assert error.value.code == "busy"
    async with turns.turn("2"):
        pass


async def test_who_leaves_the_line_leaves_no_trace() -> None:
    turns = Turns(of_a_guild=1, patience=5)

    async def wait() -> None:
        async with turns.turn("2"):
            pass

    async with turns.turn("1"):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await wait()


async def test_a_second_engine_is_put_to_work_when_the_line_is_long() -> None:
    turns, go_on, at_work, most = Turns(of_a_guild=1, patience=5, engines=2), asyncio.Event(), 0, list[int]()

    async def work(guild: int) -> None:
        nonlocal at_work
        async with turns.turn(str(guild)):
            at_work += 1
            most.append(at_work)
            await go_on.wait()
            at_work -= 1

    async def in_line(count: int) -> int:
        go_on.clear()
        most.clear()
        working = [asyncio.create_task(work(guild)) for guild in range(count)]
        await asyncio.sleep(0.001)
        go_on.set()
        await asyncio.gather(*working)
        return max(most)

    assert [await in_line(count) for count in (1, 2, 3, 8)] == [1, 1, 2, 2]


async def test_of_those_who_leave_together_none_takes_a_turn_along() -> None:
    turns = Turns(of_a_guild=1, patience=5, engines=2)

    async def work(guild: int) -> None:
        async with turns.turn(str(guild)):
            await asyncio.sleep(0.001)

    for kept in range(6):
        working = [asyncio.create_task(work(guild)) for guild in range(6)]
        await asyncio.sleep(0.0005 * kept)
        for task in working[:kept]:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    assert turns._at_work == 0
