"""Whole models: each has an engine while it is asked, there is room for a few, and the idle ones end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chorus.common.base_model import STARTER_FOLDER
from chorus.common.contracts.models import BaseModelId, ModelVersion
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import now
from chorus.common.errors import ChorusError, InternalError, InvalidInput, Unavailable
from chorus.inference.generation import whole
from chorus.inference.generation.whole import WholeModels
from tests.unit.inference.engines import QUICK, Double, Starts, Told, metrics, until, work

GUILD = "1"
SOON = now() + timedelta(hours=1)


def version(number: int) -> ModelVersion:
    ref = ObjectRef(bucket="models", key=f"1/main/{number}/manifest.json", size=1, sha256=f"{number:064}")
    return ModelVersion(
        version=number,
        manifest=ref,
        form="whole",
        base=BaseModelId(name="starter", fingerprint="0" * 64),
        dataset="club@1",
        job="a" * 10,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


@dataclass
class Shelf:
    """All models are the starter; what is borrowed is noted, and an error in their place is raised."""

    borrowed: list[str] = field(default_factory=list)
    wrong: ChorusError | None = None
    folder: Path = STARTER_FOLDER

    @asynccontextmanager
    async def borrow(self, guild: str, name: str, version: ModelVersion) -> AsyncGenerator[Any]:
        if self.wrong:
            raise self.wrong
        self.borrowed.append(f"{guild}/{name}")
        try:
            yield SimpleNamespace(folder=self.folder, manifest=SimpleNamespace(files=[]))
        finally:
            self.borrowed.remove(f"{guild}/{name}")


class Place:
    """Whole models over engines in memory."""

    def __init__(self, *engines: Double | Exception, most: int = 1, idle: float = 900) -> None:
        self.starts = Starts(list(engines))
        self.shelf = Shelf()
        self.told = Told()
        of: Any = self.shelf
        none: Any = None  # nothing is tokenised here
        self.models = WholeModels(
            of, lambda _: self.starts(), lambda _: none, metrics(), most=most, idle=idle, patience=QUICK
        )

    async def say(self, number: int = 1) -> str:
        name = f"main@{number}"
        await self.models.ready(GUILD, name, version(number), self.told)
        async with self.models.use(GUILD, name, version(number)) as ready:
            assert ready.served.base.name == name
            return "".join([piece.text async for piece in ready.host.generate(work())])

    async def refused(self, number: int = 1) -> ChorusError:
        with pytest.raises(ChorusError) as error:
            await self.say(number)
        return error.value


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told at once, and a model has rested as soon as it has answered."""
    monkeypatch.setattr("chorus.inference.generation.waiting.SOON", 0.0)
    monkeypatch.setattr(whole, "RESTED", 1e-6)


async def test_the_first_question_starts_the_engine_and_is_told_so() -> None:
    place = Place()
    assert await place.say() == "The cat."
    assert [each.code for each in place.told.all] == ["loading"]
    assert "main@1 is a whole model" in place.told.all[0].text
    assert await place.say() == "The cat."
    assert len(place.starts.done) == 1, "the second question found it there"
    (listed,) = place.models.listing(None)
    assert (listed.form, listed.state, listed.model, listed.hits) == ("whole", "resident", "main@1", 2)
    assert place.models.listing("2") == []
    await place.models.close()
    assert place.shelf.borrowed == []


async def test_many_who_ask_at_once_start_one_engine() -> None:
    place = Place()
    assert set(await asyncio.gather(*(place.say() for _ in range(5)))) == {"The cat."}
    assert len(place.starts.done) == 1
    await place.models.close()


async def test_where_none_are_served_each_is_refused_and_told_what_to_do() -> None:
    error = await Place(most=0).refused()
    assert isinstance(error, InvalidInput)
    assert error.code == "whole_model"
    assert "CHORUS_BASE_MODEL=" in error.message


async def test_the_one_that_has_rested_longest_makes_room() -> None:
    engines = [Double("one"), Double("two"), Double("three")]
    place = Place(*engines, most=2)
    assert [await place.say(number) for number in (1, 2, 1, 3)] == ["one", "two", "one", "three"]
    assert [engine.told for engine in engines] == [[], ["close"], []]
    assert place.shelf.borrowed == ["1/main@1", "1/main@3"]
    await place.models.close()


async def test_one_that_is_at_work_makes_no_room() -> None:
    first = Double()
    place = Place(first)
    await place.say()
    first.held.clear()
    answer = asyncio.create_task(place.say())
    await until(lambda: place.models.listing(None)[0].in_use)
    error = await place.refused(2)
    assert (error.code, error.status, error.retry_after) == ("busy", 503, 1e-6)
    first.held.set()
    assert await answer == "The cat."
    assert await place.say(2) == "The cat."
    await place.models.close()


async def test_one_that_was_asked_just_now_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "RESTED", 10.0)
    place = Place()
    await place.say()
    assert ((await place.refused(2)).code, (await place.refused(2)).retry_after) == ("busy", 10)
    await place.models.close()


async def test_idle_ones_end_and_deleted_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "RESTED", 0.01)
    for idle, deleted in ((0.01, False), (900, True)):
        engine = Double()
        place = Place(engine, idle=idle)
        await place.say()
        watch = asyncio.create_task(place.models.end_idle())
        place.models.keep_only([] if deleted else [version(1).manifest.sha256])
        await until(lambda engine=engine: engine.told == ["close"])
        assert (place.models.listing(None), place.shelf.borrowed) == ([], [])
        watch.cancel()


async def test_one_that_made_room_ends_though_the_other_never_begins() -> None:
    first = Double()
    place = Place(first)
    await place.say()
    other = place.models._begun(GUILD, "main@2", version(2))  # pyright: ignore[reportPrivateUsage]
    other.ready.cancel()
    await place.models.close()
    assert (first.told, place.shelf.borrowed) == (["close"], [])


async def test_the_next_one_starts_when_what_made_room_is_gone() -> None:
    order: list[str] = []

    class Noted(Double):
        def close(self) -> None:
            order.append("ended")

    place = Place(Noted())
    await place.say()
    start = place.starts.__class__.__call__
    place.models._start = lambda _: (order.append("started"), start(place.starts))[1]  # pyright: ignore[reportPrivateUsage]
    await place.say(2)
    assert order == ["ended", "started"]
    await place.models.close()


async def test_one_that_is_found_idle_is_found_by_nobody_any_more() -> None:
    place = Place()
    await place.say()
    (old,) = place.models._all.values()  # pyright: ignore[reportPrivateUsage]
    place.models._take_away(old)  # pyright: ignore[reportPrivateUsage]
    assert place.models.listing(None) == []
    await place.models.close()


async def test_what_is_wrong_with_its_files_is_told_and_tried_again_with_the_next_question() -> None:
    place = Place()
    place.shelf.wrong = InternalError("damaged", code="object_corrupt")
    assert (await place.refused()).code == "object_corrupt"
    place.shelf.wrong = None
    assert await place.say() == "The cat."
    await place.models.close()


async def test_files_that_make_no_model_are_refused_before_an_engine_starts(tmp_path: Path) -> None:
    place = Place()
    place.shelf.folder = tmp_path
    error = await place.refused()
    assert (error.code, str(tmp_path) in error.message) == ("unsupported_model", False)
    assert (place.starts.done, place.shelf.borrowed) == ([], [])


async def test_an_engine_that_does_not_start_is_told_and_gives_its_files_back() -> None:
    place = Place(RuntimeError("no memory in /home/x"))
    error = await place.refused()
    assert (error.code, isinstance(error, Unavailable), "/home" in error.message) == (
        "engine_failed",
        True,
        False,
    )
    assert place.shelf.borrowed == []
    assert await place.say() == "The cat."
    await place.models.close()


async def test_one_whose_engine_dies_again_and_again_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    died = asyncio.Event()

    async def given_up(_: object) -> None:
        await died.wait()
        raise Unavailable("It died five times.", code="gave_up")

    place = Place()
    with monkeypatch.context() as patch:
        patch.setattr("chorus.inference.generation.host.Host.keep", given_up)
        await place.say()
        died.set()
        await until(lambda: place.shelf.borrowed == [])
    assert await place.say() == "The cat."
    assert len(place.starts.done) == 2
    await place.models.close()


async def test_they_end_for_a_training_and_come_back() -> None:
    engine = Double()
    place = Place(engine)
    await place.say()
    await place.models.sleep(SOON)
    assert engine.told == ["close"]
    assert (await place.refused()).code == "engine_asleep"
    place.models.wake()
    assert await place.say() == "The cat."
    await place.models.close()


async def test_who_waits_for_one_that_is_ended_meanwhile_is_told() -> None:
    place = Place()
    asked = asyncio.create_task(place.say())
    await until(lambda: place.models.listing(None))
    await place.models.sleep(SOON)
    with pytest.raises(Unavailable) as error:
        await asked
    assert error.value.code == "engine_asleep"
    assert place.shelf.borrowed == []
