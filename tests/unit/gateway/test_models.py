"""`!models`, `!use`, `!rollback`: which voices there are, where they are, and which of them answers."""

from datetime import timedelta

import pytest

from chorus.common.contracts.generation import Served, ServedModel
from chorus.common.contracts.models import BaseModelId, ModelRecord, ModelVersion, Parity, Stale
from chorus.common.contracts.wire import now
from chorus.gateway.commands.replies import Card, Problem, Text
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
        ("", "main@3", "latest", "club@3", made, "", ""),
        ("→", "main@2", "prod", "club@2", made, "", f"stale: stops answering on {until}; train it anew"),
        ("", "main@1", "", "club@1", made, "", "blocked: it learned words that were deleted since"),
        ("", "base", "", "", "", "", ""),
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
    assert await run(world.context(), "!use main@3") == Text("main@3 answers now.", settles=True)
    assert await run(world.context(), "!use base") == Text("The base model answers now.", settles=True)
    assert world.models.chosen is None


async def test_who_chooses_a_whole_model_is_told_that_it_starts_late(world: World) -> None:
    (record,) = world.models.records
    world.models.records = [record.model_copy(update={"versions": [version(2, form="whole")]})]
    told = await run(world.context(), "!use main@2")
    assert isinstance(told, Text)
    assert told.text.startswith("main@2 answers now. It is a whole model")


def at_hand(**facts: object) -> Served:
    fields: dict[str, object] = {
        "instance": "i", "base": BASE, "state": "ready", "resident": 1, "capacity": 8, "models": [
            ServedModel(guild="local", model="main@3", state="resident", hits=1200),
            ServedModel(guild="local", model="main@2", state="on_disk"),
            ServedModel(guild="local", model="main@1", state="loading"),
        ],
    }  # fmt: skip
    return Served.model_validate({**fields, **facts})


async def test_it_is_told_what_is_at_hand(world: World) -> None:
    world.answers.at_hand = at_hand()
    shown = await run(world.context(), "!models")
    assert isinstance(shown, Card)
    assert [(row[1], row[-2]) for row in shown.rows] == [
        ("main@3", "in memory, asked 1,200 times"),
        ("main@2", "on disk"),
        ("main@1", "loading"),
        ("base", "ready"),
    ]


async def test_while_a_training_has_the_gpu_it_is_told_until_when(world: World) -> None:
    world.answers.at_hand = at_hand(state="asleep", until=AT)
    shown = await run(world.context(), "!models")
    assert isinstance(shown, Card)
    assert shown.rows[-1][-2] == "asleep until 03:04 UTC: a training has the GPU"


async def test_models_are_listed_where_nobody_can_say_what_is_at_hand(world: World) -> None:
    shown = await run(world.context(), "!models")
    assert isinstance(shown, Card)
    assert len(shown.rows) == 4
    assert shown.footer.endswith("What is at hand cannot be told: Nobody is there.")


async def test_the_version_before_answers_again(world: World) -> None:
    told = "main@1 answers now, in place of main@2. To undo that: !rollback again."
    assert await run(world.context(), "!rollback") == Text(told)
    assert await run(world.context(), "!rollback main") == Text(told)


async def test_a_model_that_does_not_answer_is_rolled_back_all_the_same(world: World) -> None:
    told = "club means club@1 now, before club@2. main goes on answering."
    assert await run(world.context(), "!rollback club") == Text(told)


async def test_the_base_has_no_version_before(world: World) -> None:
    world.models.chosen = None
    refused = await run(world.context(), "!rollback")
    assert isinstance(refused, Problem)
    assert refused.code == "nothing_to_roll_back"


@pytest.mark.parametrize("line", ["!use main@3", "!use base", "!rollback"])
async def test_whoever_is_chosen_answers_in_the_conversation_too(world: World, line: str) -> None:
    world.session.model = "main@1"
    await run(world.context(), line)
    assert world.session.model is None
