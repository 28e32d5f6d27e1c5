"""`!mimic` with the real discord.py against the double, with NATS and S3; the trainer is played."""

from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.models import ModelRecord
from chorus.common.contracts.training import JobState
from chorus.gateway.frontends.discord import client
from tests.support.discord.place import Place
from tests.support.mining import PERMITTED, Mining, a_mining
from tests.support.servers import Servers
from tests.unit.gateway.fakes import RESULT
from tests.unit.gateway.test_models import version


@pytest.fixture
async def mining(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mining]:
    monkeypatch.setattr(client, "GUILDS_WITHIN", 0.1)  # seconds; there is one server
    async with a_mining(servers) as mining:
        yield mining


@pytest.mark.parametrize("form", ["typed", "slashed"])
async def test_who_opted_in_is_read_and_becomes_a_model_that_answers_as_ai(mining: Mining, form: str) -> None:
    place, name = mining.place, f"mimic-{mining.ada.id}"
    mining.said(place.channel, mining.ada, "ada says this")
    mining.said(place.channel, mining.bob, "bob has not opted in")
    result = RESULT.model_copy(update={"model": f"{name}@1", "in_use": False})
    place.world.jobs.course = [{"state": JobState.SUCCEEDED, "result": result}]
    async with place.present(**PERMITTED):
        await place.ask(f"!mimic <@{mining.bob.id}>", place.admin)
        refused = await mining.until("[mimic_not_permitted]")
        assert "write `!privacy optin` here" in refused.content
        assert not mining.history.asked
        if form == "typed":
            await place.ask(f"!mimic <@{mining.ada.id}>", place.admin)
        else:
            await place.discord.slash(place.channel, place.admin, "mimic", person=f"<@{mining.ada.id}>")
        card = await mining.until(f"✓ {name}@1 is trained")
        offered = [button["label"] for row in card.components for button in row["components"]]
        publish(place, name)
        await place.discord.press(card, "Use it", place.admin)
        await place.discord.until(lambda: place.world.models.chosen == name)
        await place.ask(place.mention("Who are you?"))
        place.told.tell("I am")
        answer = await place.discord.answered(place.channel, "-# AI\nI am")
        place.told.tell(" Ada.", None)
        await place.discord.until(lambda: answer.content == "-# AI\nI am Ada.\n-# base")
    assert offered == ["Use it", "Keep the old one"]
    (asked,) = mining.imports
    assert (asked.name, asked.options.target) == (name, mining.ada.id)
    said = [message["content"] for export in await mining.exports() for message in export["messages"]]
    assert said == ["ada says this"]


def publish(place: Place, name: str) -> None:
    """What the trainer makes of the one job: a version that says of itself what its data did."""
    (record,) = place.world.jobs.records.values()
    made = version(1, imitates=any(learned.imitates for learned in record.job.data))
    place.world.models.records = [
        ModelRecord(guild=place.guild.id, name=name, versions=[made], aliases={"prod": 1})
    ]


@pytest.mark.parametrize("mode", ["off", "submitted"])
async def test_without_discords_permission_nothing_is_read(mining: Mining, mode: str) -> None:
    mining.said(mining.place.channel, mining.ada, "ada says this")
    told = await mining.mine(
        f"!mimic <@{mining.ada.id}>", "[mimic_not_permitted]", train_on_messages=mode, train_permission=""
    )
    assert "CHORUS_TRAIN_PERMISSION" in told
    assert mining.history.asked == mining.history.listed == []
