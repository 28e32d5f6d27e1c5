"""Under a server's own prefix we call commands by it; what people and models said stays as it is."""

import pytest

from chorus.common.contracts.guild import GuildSettings, Persona
from chorus.gateway.commands.replies import Card, Text
from chorus.gateway.commands.table import prefixed, run
from chorus.gateway.commands.wording import reworded
from tests.unit.gateway.fakes import World


def as_there(text: str) -> str:
    return prefixed(text, "?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is no '!train me'. !examples lists all.", "There is no '!train me'. ?examples lists all."),
        ("Ada's is `!train`, Bob's is !ask.", "Ada's is `?train`, Bob's is ?ask."),
    ],
)
def test_what_is_quoted_stays_as_it_was_said(text: str, expected: str) -> None:
    assert as_there(text) == expected


def test_rows_that_are_peoples_words_stay_and_what_is_below_them_does_not() -> None:
    card = Card("To !train", ("said",), [("!train harder",)], "See !jobs", quotes=True)
    changed = reworded(card, as_there)
    assert isinstance(changed, Card)
    assert (changed.title, changed.rows, changed.footer) == ("To ?train", [("!train harder",)], "See ?jobs")


async def test_a_persona_is_told_as_it_was_written() -> None:
    world = World()
    world.guilds.others = GuildSettings(prefix="?", persona=Persona(text="Say !train often.", by="42"))
    reply = await run(world.context(), "?persona")
    assert isinstance(reply, Text)
    assert reply.text.startswith("Persona:\nSay !train often.\nTo change it: ?persona")
