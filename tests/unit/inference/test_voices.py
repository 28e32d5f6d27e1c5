"""Who answers: the base, an adapter or a whole model, each on its engine; all of them asleep at once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chorus.common.contracts.generation import ServedModel
from chorus.common.contracts.models import BaseModelId, ModelVersion
from chorus.common.contracts.storage import ObjectRef
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound, Unavailable
from chorus.inference.generation.catalogue import Found
from chorus.inference.generation.checks import Served
from chorus.inference.generation.host import Host
from chorus.inference.generation.ports import Adapter
from chorus.inference.generation.voices import Voice, Voices
from chorus.inference.generation.whole import WholeModels
from tests.unit.inference.engines import QUICK, Double, Starts, Told, metrics, work
from tests.unit.inference.test_whole import Shelf

SOON = now() + timedelta(hours=1)
BASE = BaseModelId(name="starter", fingerprint="0" * 64)


def found(number: int, form: str) -> Found:
    facts: dict[str, Any] = {
        "version": number, "base": BASE, "form": form, "dataset": "club@1", "job": "a" * 10,
        "manifest": ObjectRef(bucket="models", key="1/x", size=1, sha256=f"{number:064}"),
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    return Found(f"main@{number}", ModelVersion(**facts))


class Catalogue:
    """`main@1` is an adapter, `main@2` a whole model."""

    async def choices(self, guild: str, model: str | None) -> list[Found]:
        known = {None: [], "main@1": [found(1, "adapter")], "main@2": [found(2, "whole")]}
        if model not in known:
            raise NotFound("no such model", code="unknown_model")
        return known[model]


class Residency:
    """Adapters of an engine, in memory."""

    resident = 1
    loaded = False

    def __init__(self, host: Host) -> None:
        self.host = host

    def is_loaded(self, guild: str, found: Found) -> bool:
        return self.loaded

    async def ready(self, guild: str, choices: Sequence[Found]) -> Found:
        return choices[0]

    @asynccontextmanager
    async def use(self, guild: str, choices: Sequence[Found]) -> AsyncGenerator[tuple[Found, Adapter]]:
        adapter = Adapter(f"{guild}/{choices[0].name}", choices[0].version.manifest.sha256, Path("x"))
        await self.host.load(adapter)
        yield choices[0], adapter

    def listing(self, guild: str | None) -> list[ServedModel]:
        return [
            ServedModel(guild="1", model="main@1", state="resident"),
            ServedModel(guild="1", model="main@2", form="whole", state="on_disk"),
        ]


@pytest.fixture
async def voices() -> AsyncGenerator[Voices]:
    """Over engines in memory: the base's first says `base`, the whole model's `whole`."""
    host = Host(Starts([Double("base")]), metrics())
    shelf: Any = Shelf()
    none: Any = None
    wholes = WholeModels(
        shelf, lambda _: Double("whole"), lambda _: none, metrics(), most=1, idle=900, patience=QUICK
    )
    catalogue: Any = Catalogue()
    residency: Any = Residency(host)
    await host.open()
    yield Voices(host, Served(BASE, none, 8), 3, catalogue, residency, wholes)
    await wholes.close()
    await host.close()


async def said(voices: Voices, model: str | None) -> tuple[Voice, str]:
    await voices.ready("1", model, Told())
    async with voices.speaking("1", model) as voice:
        return voice, "".join([piece.text async for piece in voice.engine.generate(work(voice.adapter))])


async def test_each_name_has_its_voice(voices: Voices) -> None:
    base, words = await said(voices, None)
    assert (base.name, base.remembers, base.adapter, words) == ("starter", 3, None, "base")
    adapter, words = await said(voices, "main@1")
    assert (adapter.name, adapter.engine is base.engine, words) == ("main@1", True, "base")
    assert adapter.adapter is not None
    whole, words = await said(voices, "main@2")
    assert (whole.name, whole.served.base.name, whole.adapter, words) == ("main@2", "main@2", None, "whole")


@pytest.mark.parametrize("model", [None, "main@1"])
async def test_what_is_ready_costs_no_task(
    voices: Voices, model: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Residency, "loaded", True)
    monkeypatch.setattr(asyncio, "create_task", lambda *_: pytest.fail("a task"))
    await voices.ready("1", model, Told())


async def test_a_name_that_nobody_has_is_told(voices: Voices) -> None:
    with pytest.raises(NotFound):
        await voices.ready("1", "nobody", Told())


async def test_what_is_at_hand_is_listed_once(voices: Voices) -> None:
    await said(voices, "main@2")
    served = voices.at_hand("1", instance="i", waiting=7)
    assert {(each.model, each.state) for each in served.models} == {
        ("main@1", "resident"),
        ("main@2", "resident"),
    }
    assert (served.state, served.until, served.capacity, served.waiting) == ("ready", None, 2, 7)


async def test_all_of_them_sleep_and_wake(voices: Voices) -> None:
    await said(voices, "main@2")
    await voices.sleep(SOON)
    served = voices.at_hand(None, instance="i", waiting=0)
    assert (served.state, served.until) == ("asleep", SOON)
    for model in (None, "main@1", "main@2"):
        with pytest.raises(Unavailable) as refused:
            await said(voices, model)
        assert refused.value.code == "engine_asleep"
    await voices.wake()
    assert [(await said(voices, model))[1] for model in (None, "main@2")] == ["The cat.", "whole"]
