"""What is wrong with an adapter is told to all, remembered, and never given to an engine twice."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chorus.common.errors import InvalidInput, Unavailable
from chorus.inference.generation import residency as residency_module
from chorus.inference.generation.ports import Adapter
from tests.unit.inference.worlds import refused, world_of


async def test_all_who_wait_are_told_and_the_place_is_free_again(tmp_path: Path) -> None:
    world, (bad, good) = world_of(tmp_path, 2, capacity=1)
    world.engine.refuses = InvalidInput("no", code="unsupported_adapter")
    assert await asyncio.gather(*(refused(world, bad) for _ in range(9))) == ["unsupported_adapter"] * 9
    world.engine.refuses = None
    assert await world.ask(good) == good.name
    assert world.engine.dead is None


async def test_what_nobody_foresaw_is_told_too(tmp_path: Path) -> None:
    world, (bad,) = world_of(tmp_path, 1, capacity=1)
    world.engine.refuses = RuntimeError("a bug")
    with capture_logs() as logs:
        assert await refused(world, bad) == "adapter_broken"
    assert [entry["log_level"] for entry in logs if "exc_info" in entry] == ["error"], (
        "the log has the details"
    )


async def test_what_is_wrong_is_remembered_and_what_may_come_right_is_not(tmp_path: Path) -> None:
    world, (a, b) = world_of(tmp_path, 2, capacity=1)
    store = world.store
    objects, store.objects = store.objects, {}
    assert [await refused(world, a) for _ in range(5)] == ["no_object"] * 5
    assert store.gets.total() == 1
    store.objects, store.wrong = objects, Unavailable("away", code="objects_unavailable")
    assert await refused(world, b) == "objects_unavailable"
    store.wrong = None
    assert await world.ask(b) == b.name


async def test_one_that_ends_the_engine_is_not_given_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, (bad, good) = world_of(tmp_path, 2, capacity=2)
    monkeypatch.setattr(residency_module, "REMEMBERED", 0.0)
    world.engine.fatal = f"1/{bad.name}"
    assert [await refused(world, bad) for _ in range(3)] == ["unsupported_adapter"] * 3
    assert world.engine.canaries == 1
    assert await world.ask(good) == good.name


async def test_one_that_has_answered_before_is_not_blamed_for_a_death(tmp_path: Path) -> None:
    world, (found,) = world_of(tmp_path, 1, capacity=1)
    await world.ask(found)
    world.engine.loaded.clear()
    world.residency.forget_all()
    world.engine.fatal = f"1/{found.name}"
    assert await refused(world, found) == "engine_died"
    world.engine.fatal = None
    assert await world.ask(found) == found.name


async def test_new_ones_are_tried_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an engine's death would be blamed on all that are being tried."""
    world, found = world_of(tmp_path, 3, capacity=3)
    load, loading, most = world.engine.load, 0, 0

    async def slow(adapter: Adapter) -> None:
        nonlocal loading, most
        loading += 1
        most = max(most, loading)
        await asyncio.sleep(0.01)
        await load(adapter)
        loading -= 1

    monkeypatch.setattr(world.engine, "load", slow)
    await asyncio.gather(*(world.ask(each) for each in found))
    assert most == 1


async def test_what_was_wrong_long_ago_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, bad = world_of(tmp_path, 4, capacity=1)
    monkeypatch.setattr(residency_module, "REMEMBERED", 0.0)
    world.store.objects.clear()
    for each in bad:
        await refused(world, each)
    assert len(world.residency._failed) == 1


async def test_the_version_before_stands_in(tmp_path: Path) -> None:
    world, (bad, good) = world_of(tmp_path, 2, capacity=2)
    del world.store.objects[bad.version.manifest.key]
    assert await world.residency.ready("1", [bad, good]) == good
    assert await world.ask(bad, good) == good.name
    assert await refused(world, bad) == "no_object", "who names it gets the error"


async def test_nothing_stands_in_for_what_may_come_right(tmp_path: Path) -> None:
    world, (bad, good) = world_of(tmp_path, 2, capacity=2)
    world.store.wrong = Unavailable("away", code="objects_unavailable")
    assert await refused(world, bad, good) == "objects_unavailable"


async def test_where_none_can_be_had_the_first_ones_error_is_told(tmp_path: Path) -> None:
    world, (bad, worse) = world_of(tmp_path, 2, capacity=2)
    world.store.objects[bad.version.manifest.key] = b"{}"
    del world.store.objects[worse.version.manifest.key]
    assert await refused(world, bad, worse) == "object_corrupt"


async def test_a_guild_cannot_use_anothers(tmp_path: Path) -> None:
    world, (found,) = world_of(tmp_path, 1, capacity=1)
    await world.ask(found)
    with pytest.raises(InvalidInput) as error:
        async with world.residency.use("2", [found]):
            pytest.fail("it is another guild's")
    assert error.value.code == "other_guild"
