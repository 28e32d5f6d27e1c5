"""Adapters in an engine that holds few: loaded once, pinned in use, none lost, nobody waits for ever."""

import asyncio
import random
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from chorus.common.contracts.models import ModelRecord, Stale
from chorus.common.contracts.wire import now
from chorus.common.errors import Unavailable
from chorus.inference.generation.catalogue import Found, Known
from chorus.inference.generation.ports import Adapter
from chorus.inference.generation.residency import Residency
from chorus.inference.metrics import InferenceMetrics
from tests.unit.inference.engines import metrics, until
from tests.unit.inference.shelves import SERVED, shelf_of, size_of
from tests.unit.inference.worlds import began, world_of


def record_of(found: Found, **aliases: int) -> ModelRecord:
    name = found.name.partition("@")[0]
    return ModelRecord(guild="1", name=name, versions=[found.version], aliases=aliases)


async def test_it_is_loaded_and_tried_once_however_many_ask(tmp_path: Path) -> None:
    world, (found,) = world_of(tmp_path, 1, capacity=2)
    assert await asyncio.gather(*(world.ask(found) for _ in range(50))) == [found.name] * 50
    assert (world.engine.loads["1/m000@1"], world.engine.canaries) == (1, 1)
    assert set(world.store.gets.values()) == {1}


async def test_what_answers_is_not_unloaded_and_who_needs_its_place_waits(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=1)
    async with AsyncExitStack() as in_use:
        await in_use.enter_async_context(world.residency.use("1", [a]))
        other = began(world.ask(b))
        await until(lambda: world.residency.resident == 1 and len(world.residency.listing("1")) == 2)
        assert world.names() == {a.name}
        assert not other.done()
    assert await other == b.name
    assert world.names() == {b.name}


async def test_hundreds_of_requests_over_200_adapters_and_8_places(tmp_path: Path) -> None:
    world, found = world_of(tmp_path, 200, capacity=8)
    chance = random.Random(6)
    weights = [1 / rank for rank in range(1, 201)]  # Zipf
    asked = chance.choices(found, weights, k=400)
    slots = asyncio.Semaphore(64)
    left = 0

    async def ask(one: Found, *, leaves: bool) -> None:
        nonlocal left
        async with slots:
            await world.residency.ready("1", [one])
            answer = began(world.ask(one))
            if leaves:
                await asyncio.sleep(0)
                answer.cancel()
                await asyncio.wait({answer})
                left += answer.cancelled()
            else:
                assert await answer == one.name

    await asyncio.gather(*(ask(one, leaves=chance.random() < 0.1) for one in asked))
    assert world.engine.dead is None
    assert left > 10
    assert len(world.engine.loaded) <= 8
    assert set(world.store.gets.values()) == {1}, "each was fetched once"


async def test_the_same_with_a_disk_that_holds_a_tenth_of_them(tmp_path: Path) -> None:
    world, found = world_of(tmp_path, 60, capacity=4)
    world.allow_on_disk(6 * size_of(world.store, found[0]))
    chance = random.Random(7)
    for _ in range(10):
        await asyncio.gather(*(world.ask(one) for one in chance.sample(found, 4)))
    assert world.engine.dead is None
    assert len(list(world.cache.iterdir())) <= 6


async def test_a_full_disk_of_loaded_ones_that_nobody_uses_gives_way(tmp_path: Path) -> None:
    world, (a, b, c) = world_of(tmp_path, 3, capacity=3)
    size = size_of(world.store, a)
    world.residency = Residency(world.engine, SERVED, shelf_of(world.store, world.cache, 2 * size), metrics())
    for found in (a, b, c):
        assert await world.ask(found) == found.name
    assert world.names() == {b.name, c.name}
    assert world.engine.dead is None
    async with world.residency.use("1", [b]), world.residency.use("1", [c]):
        with pytest.raises(Unavailable) as error:
            await world.ask(a)
    assert error.value.code == "no_room_on_disk"


async def test_a_fetch_is_timed_also_where_no_place_is_free(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=1)
    registry = CollectorRegistry()
    shelf = shelf_of(world.store, world.cache)
    world.residency = Residency(world.engine, SERVED, shelf, InferenceMetrics(registry))
    async with world.residency.use("1", [a]):
        await asyncio.gather(*(world.residency.ready("1", [b]) for _ in range(3)))
    assert registry.get_sample_value("chorus_cold_adapter_seconds_count") == 2


# --- ready, and news -----------------------------------------------------------------------------
async def test_ready_loads_where_there_is_a_place_and_fetches_where_there_is_none(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=1)
    await world.residency.ready("1", [a])
    assert world.names() == {a.name}
    await world.residency.ready("1", [b])
    assert world.names() == {a.name}, "it is not in the way of others before its turn"
    assert {each.model: each.state for each in world.residency.listing("1")} == {a.name: "resident"}
    assert len(list(world.cache.iterdir())) == 2


async def test_news_are_loaded_ahead_in_place_of_what_nobody_uses(tmp_path: Path) -> None:
    world, (a, b, c) = world_of(tmp_path, 3, capacity=1)
    await world.ask(a)
    world.residency.prepare(record_of(b, prod=1, latest=1))
    await until(lambda: world.names() == {b.name})
    async with world.residency.use("1", [b]):
        world.residency.prepare(record_of(c, latest=1))
        await until(lambda: (world.cache / c.version.manifest.sha256).exists())
        assert world.names() == {b.name}, "who answers is not sent away for news"


async def test_bad_news_harm_nobody(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=2)
    del world.store.objects[b.version.manifest.key]
    world.residency.prepare(record_of(b, prod=1, latest=1))
    whole = a.version.model_copy(update={"form": "whole"})
    world.residency.prepare(record_of(Found(a.name, whole), prod=1))
    await until(lambda: world.store.gets)
    assert await world.ask(a) == a.name


# --- what may not stay ---------------------------------------------------------------------------
def permitted(*found: Found) -> dict[str, Known]:
    return {each.version.manifest.sha256: Known("1", each.name, "adapter") for each in found}


async def test_nothing_of_a_blocked_one_stays(tmp_path: Path) -> None:
    world, (blocked, other, cold) = world_of(tmp_path, 3, capacity=2)
    async with world.residency.use("1", [blocked]):
        await world.ask(other)
        await world.residency.ready("1", [cold])
        assert len(list(world.cache.iterdir())) == 3
        world.residency.keep_only(permitted(other))
        await until(lambda: len(list(world.cache.iterdir())) == 2)
        assert world.names() == {blocked.name, other.name}, "it finishes its answer"
    await until(lambda: world.names() == {other.name})
    await until(lambda: [path.name for path in world.cache.iterdir()] == [other.version.manifest.sha256])


async def test_a_blocked_version_is_not_prepared(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=2)
    gone = Stale(since=now(), blocked_at=now() - timedelta(seconds=1))
    blocked = Found(a.name, a.version.model_copy(update={"stale": gone}))
    world.residency.prepare(record_of(blocked, prod=1, latest=1))
    world.residency.prepare(record_of(b, prod=1))
    await until(lambda: world.names() == {b.name})
    assert a.version.manifest.key not in world.store.gets


# --- another engine ------------------------------------------------------------------------------
async def test_a_new_engine_has_all_loaded_anew_when_they_are_asked(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=2)
    await world.ask(a)
    async with world.residency.use("1", [b]) as (_, adapter):
        world.engine.loaded.clear()
        world.residency.forget_all()
        assert await world.ask(b) == b.name, "and does not wait for those who asked the old one"
        assert await world.ask(a) == a.name
        assert adapter.folder.exists()
    assert await world.ask(b) == b.name
    assert world.engine.canaries == 4, "each was tried on each engine"
    assert world.engine.dead is None


async def test_a_new_engine_is_not_told_to_unload_what_it_never_had(tmp_path: Path) -> None:
    world, (idle, used) = world_of(tmp_path, 2, capacity=2)
    await world.ask(idle)
    async with world.residency.use("1", [used]):
        world.engine.loaded.clear()
        world.residency.forget_all()
        await until(lambda: len(world.residency._seats.all) == 1)
        assert world.engine.unloads == []
    await until(lambda: world.engine.unloads == [f"1/{used.name}"])  # asked again of the new one, perhaps


async def test_an_engine_that_comes_while_one_is_loaded_gets_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, (found,) = world_of(tmp_path, 1, capacity=1)
    load = world.engine.load

    async def load_and_die(adapter: Adapter) -> None:
        await load(adapter)
        if world.engine.loads.total() == 1:
            world.engine.loaded.clear()
            world.residency.forget_all()

    monkeypatch.setattr(world.engine, "load", load_and_die)
    assert await world.ask(found) == found.name
    assert (world.engine.loads.total(), world.engine.canaries) == (2, 1)


# --- for people ----------------------------------------------------------------------------------
async def test_a_guild_sees_its_own_with_hits_and_sizes(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=1)
    theirs = world.store.publish(world.adapter, "theirs", guild="2")
    for found in (a, a, b):
        await world.ask(found)
    async with world.residency.use("2", [theirs]):
        seen = world.residency.listing("2")
        assert [(each.guild, each.model, each.state, each.in_use) for each in seen] == [
            ("2", theirs.name, "resident", 1)
        ]
    world.residency.keep_only(
        {**permitted(a, b), theirs.version.manifest.sha256: Known("2", theirs.name, "adapter")}
    )
    mine = {each.model: each for each in world.residency.listing("1")}
    assert {name: (each.state, each.hits, each.in_use) for name, each in mine.items()} == {
        a.name: ("on_disk", 2, 0),
        b.name: ("on_disk", 1, 0),
    }
    assert mine[a.name].size == size_of(world.store, a)
    assert [each.model for each in world.residency.listing(None)] == [theirs.name, b.name, a.name]
