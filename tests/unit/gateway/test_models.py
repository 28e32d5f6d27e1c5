"""`!models` and `!use`: which voices there are, and what becomes of those that learned deleted words."""

from datetime import timedelta

import pytest

from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, Parity, Stale
from chorus.common.contracts.wire import now
from chorus.gateway.commands.replies import Card, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fake_data import AT, ref
from tests.unit.gateway.fakes import World

BASE = BaseModelId(name="starter", fingerprint="0" * 64)


def version(number: int, stale: Stale | None = None, **others: object) -> ModelVersion:
    fields: dict[str, object] = {
        "version": number, "manifest": ref(f"main-{number}"), "base": BASE, "dataset": f"club@{number}",
        "job": "k7f3m2qxab", "created_at": AT, "stale": stale,
    }  # fmt: skip
    return ModelVersion.model_validate({**fields, **others})


@pytest.fixture
def world() -> World:
    made = World()
    soon = now() + timedelta(days=7)
    versions = [version(1, Stale(since=AT, blocked_at=AT)), version(2, Stale(since=AT, blocked_at=soon))]
    made.models.records = [
        ModelRecord(
            guild="local", name="main", versions=[*versions, version(3)], aliases={"prod": 2, "latest": 3}
        )
    ]
    made.models.chosen = "main"
    return made


async def test_models_say_what_becomes_of_them(world: World) -> None:
    shown = await run(world.context(), "!models")
    assert isinstance(shown, Card)
    soon = world.models.records[0].versions[1].stale
    assert soon is not None
    until = f"{soon.blocked_at:%Y-%m-%d %H:%M} UTC"
    made = "2026-01-02 03:04 UTC"
    assert shown.rows == [
        ("", "main@3", "latest", "club@3", made, ""),
        ("→", "main@2", "prod", "club@2", made, f"stale: stops answering on {until}; train it anew"),
        ("", "main@1", "", "club@1", made, "blocked: it learned words that were deleted since"),
        ("", "base", "", "", "", ""),
    ]
    assert {len(row) for row in shown.rows} == {len(shown.columns)}


async def test_checkpoints_and_what_is_held_back_are_listed(world: World) -> None:
    parity = Parity(verdict="differs", reason="a probe is answered otherwise")
    (record,) = world.models.records
    world.models.records = [
        record.model_copy(
            update={
                "versions": [version(1, parity=parity), version(2, form="whole")],
                "checkpoints": [version(2, label="k7f3m2qxab-2")],
            }
        )
    ]
    shown = await run(world.context(), "!models")
    assert isinstance(shown, Card)
    assert [(row[1], row[-1]) for row in shown.rows[:-1]] == [
        ("main@2", "whole model"),
        ("main@1", "held back: a probe is answered otherwise"),
        ("main@k7f3m2qxab-2", "checkpoint: !ask model= talks to it"),
    ]


async def test_a_model_is_chosen(world: World) -> None:
    assert await run(world.context(), "!use main@3") == Text("main@3 answers now.")
    assert await run(world.context(), "!use base") == Text("The base model answers now.")
    assert world.models.chosen is None
