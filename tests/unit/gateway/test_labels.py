"""Who answers as a person would is labelled as AI, whatever they are called and however they are asked."""

import pytest

from chorus.common.contracts.guild import ChannelSettings, GuildSettings
from chorus.common.contracts.models import ModelRecord
from chorus.gateway.commands.replies import Card, Progress, Stream, Text
from chorus.gateway.commands.table import run
from tests.unit.gateway.fakes import World
from tests.unit.gateway.test_models import version


@pytest.fixture
def world() -> World:
    """A server whose voice `main` imitates somebody since its second version; `club` is nobody."""
    made = World()
    voice = ModelRecord(
        guild="local", name="main", versions=[version(1), version(2, imitates=True)], aliases={"prod": 2}
    )
    club = ModelRecord(guild="local", name="club", versions=[version(1)], aliases={"prod": 1})
    made.models.records, made.models.chosen = [voice, club], "main"
    return made


async def asked(world: World, line: str, channel: str | None = None) -> Stream:
    """The answer, read to its end and kept, as a front-end does."""
    reply = await run(world.context(channel=channel), line)
    assert isinstance(reply, Stream), reply
    assert [piece async for piece in reply.pieces]
    if reply.kept:
        await reply.kept("7")
    return reply


@pytest.mark.parametrize(
    ("line", "labelled"),
    [
        ("hi", True),
        ("!ask hi", True),
        ("!qa hi", True),
        ("!ask hi model=main@2", True),
        ("!compare club main hi", True),
        ("!ask hi model=main@1", False),
        ("!compare club main@1 hi", False),
        ("!ask hi model=club", False),
        ("!ask hi model=base", False),
    ],
)
async def test_it_is_the_model_that_is_labelled_and_not_its_name(
    world: World, line: str, labelled: bool
) -> None:
    assert (await asked(world, line)).in_role is labelled


async def test_what_stands_in_for_the_voice_may_be_an_imitation(world: World) -> None:
    aliases = {"prod": 1, "previous": 2}
    world.models.records[0] = world.models.records[0].model_copy(update={"aliases": aliases})
    assert (await asked(world, "hi")).in_role


@pytest.mark.parametrize("press", ["!regenerate reply=7", "!continue reply=7"])
async def test_so_is_what_goes_on_from_it_after_a_restart(world: World, press: str) -> None:
    world.answers.cut_off = True
    assert (await asked(world, "!ask hi model=main@2")).in_role
    world.session.forget()
    assert (await asked(world, press)).in_role


async def test_so_is_a_test_of_it(world: World) -> None:
    reply = await run(world.context(), '!test {"text": "hi", "expected": "Hello."}')
    assert isinstance(reply, Progress)
    *_, last = [moment async for moment in reply.moments]
    assert isinstance(last.outcome, Text)
    assert last.outcome.text.startswith("Test complete. Predictions (AI): Hello.")
    (table,) = last.more
    assert isinstance(table, Card)
    assert table.title == "Test of main (AI)"


async def test_so_is_what_is_spoken(world: World) -> None:
    world.guilds.others = GuildSettings(channels={"5": ChannelSettings(voice_replies=True)})
    reply = await asked(world, "hi", "5")
    assert reply.aloud is not None
    assert (await reply.aloud()).in_role
