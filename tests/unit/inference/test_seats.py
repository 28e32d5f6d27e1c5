"""Who gets a place in an engine that holds few adapters, and who leaves for whom."""

import asyncio
from pathlib import Path

import pytest

from chorus.inference.generation import seats as seats_module
from chorus.inference.generation.catalogue import Found
from tests.unit.inference.engines import until
from tests.unit.inference.worlds import began, world_of


async def test_places_are_given_in_the_order_of_asking(tmp_path: Path) -> None:
    world, found = world_of(tmp_path, 6, capacity=1)
    order: list[str] = []

    async def ask(one: Found) -> None:
        order.append(await world.ask(one))

    async with world.residency.use("1", [found[0]]):
        asked = []
        for place, one in enumerate(found[1:], 2):
            asked.append(began(ask(one)))
            await until(lambda place=place: len(world.residency.listing("1")) == place)
            await world.residency.ready("1", [one])  # in line
    await asyncio.gather(*asked)
    assert order == [each.name for each in found[1:]]


async def test_a_guild_that_asks_for_many_takes_nobody_elses_place(tmp_path: Path) -> None:
    world, mine = world_of(tmp_path, 6, capacity=3)
    theirs = world.store.publish(world.adapter, "theirs", guild="2")
    await world.ask(theirs, guild="2")
    world.engine.go_on.clear()
    asked = [began(world.ask(found)) for found in mine]
    await until(lambda: world.engine.answering.total() == 2)
    assert world.residency.is_loaded("2", theirs)
    world.engine.go_on.set()
    assert await asyncio.gather(*asked) == [found.name for found in mine]
    assert world.residency.is_loaded("2", theirs), "who has used it lately finds it there"


async def test_who_comes_beside_a_burst_gets_the_next_place(tmp_path: Path) -> None:
    world, mine = world_of(tmp_path, 6, capacity=1)
    theirs = world.store.publish(world.adapter, "theirs", guild="2")
    order: list[str] = []

    async def ask(one: Found, guild: str = "1") -> None:
        order.append(await world.ask(one, guild=guild))

    world.engine.go_on.clear()
    asked = [began(ask(mine[0]))]
    await until(lambda: world.engine.answering.total())
    asked += [began(ask(found)) for found in mine[1:]]
    for found in mine[1:]:
        await world.residency.ready("1", [found])
    asked.append(began(ask(theirs, "2")))
    await until(lambda: len(world.residency.listing("2")) == 1)
    await world.residency.ready("2", [theirs])
    world.engine.go_on.set()
    await asyncio.gather(*asked)
    assert order[:2] == [mine[0].name, theirs.name]


async def test_what_nobody_has_used_for_long_leaves_for_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats_module, "RESTED", 0.0)
    world, mine = world_of(tmp_path, 3, capacity=3)
    theirs = world.store.publish(world.adapter, "theirs", guild="2")
    await world.ask(theirs, guild="2")
    for found in mine:
        await world.ask(found)
    assert not world.residency.is_loaded("2", theirs)


async def test_nobody_starves_beside_one_that_is_always_asked(tmp_path: Path) -> None:
    """A popular adapter with somebody always in mid-answer would else keep its place for ever."""
    world, (popular, other) = world_of(tmp_path, 2, capacity=1)
    stop = asyncio.Event()

    async def again_and_again() -> int:
        answers = 0
        while not stop.is_set():
            await world.ask(popular)
            answers += 1
        return answers

    crowd = [began(again_and_again()) for _ in range(8)]
    await until(lambda: world.engine.answering.total() > 3)
    async with asyncio.timeout(10):
        for _ in range(5):
            await world.ask(other)
    stop.set()
    assert min(await asyncio.gather(*crowd)) > 0


async def test_the_one_with_the_fewest_requests_leaves(tmp_path: Path) -> None:
    world, (a, b, c) = world_of(tmp_path, 3, capacity=2)
    async with world.residency.use("1", [a]), world.residency.use("1", [a]):
        async with world.residency.use("1", [b]):
            other = began(world.ask(c))
            await until(lambda: len(world.residency.listing("1")) == 3)
        assert await other == c.name
        assert world.names() == {a.name, c.name}


async def test_the_least_recently_used_makes_room(tmp_path: Path) -> None:
    world, (a, b, c) = world_of(tmp_path, 3, capacity=2)
    for found in (a, b, a, c):
        await world.ask(found)
    assert world.names() == {a.name, c.name}
    await world.ask(b)
    assert world.engine.canaries == 3, "one that was here before is not tried again"
