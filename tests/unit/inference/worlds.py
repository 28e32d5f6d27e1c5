"""Adapters in a store, a shelf, an engine that holds few of them, and who has a place in it."""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.common.errors import ChorusError
from chorus.inference.generation.catalogue import Found
from chorus.inference.generation.ports import Work
from chorus.inference.generation.residency import Residency
from tests.unit.inference.engines import metrics
from tests.unit.inference.shelves import SERVED, Store, StrictEngine, shelf_of, written


class World:
    """A store with adapters, a shelf, an engine, and the residents of that engine."""

    def __init__(self, folder: Path, count: int, capacity: int) -> None:
        self.store = Store()
        self.adapter = folder / "adapter"
        self.adapter.mkdir()
        written(self.adapter)
        self.cache = folder / "cache"
        self.engine = StrictEngine(capacity)
        self.published = [self.store.publish(self.adapter, f"m{number:03}") for number in range(count)]
        self.allow_on_disk(10**9)

    def allow_on_disk(self, limit: int) -> None:
        """So many bytes, from now on."""
        shelf = shelf_of(self.store, self.cache, limit)
        self.residency = Residency(self.engine, SERVED, shelf, metrics())

    async def ask(self, *choices: Found, guild: str = "1") -> str:
        """One answer, and who gave it."""
        async with self.residency.use(guild, choices) as (found, adapter):
            work = Work("1", [1] * 5, [Turn(role="user", content="?")], Sampling(), adapter, "1")
            async with aclosing(self.engine.generate(work)) as pieces:
                said = {piece.text async for piece in pieces}
        assert said == {f"{guild}/{found.name}"}, "all of it is by the one who was asked"
        return found.name

    def names(self) -> set[str]:
        """Of those in the engine."""
        known = {each.version.manifest.sha256: each.name for each in self.published}
        return {known[sha256] for sha256 in self.engine.loaded}


def world_of(folder: Path, count: int, capacity: int) -> tuple[World, list[Found]]:
    """So many adapters, and an engine that holds so many of them."""
    world = World(folder, count, capacity)
    return world, world.published


def began(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.create_task(work)


async def refused(world: World, *choices: Found) -> str:
    with pytest.raises(ChorusError) as error:
        await world.ask(*choices)
    return error.value.code
