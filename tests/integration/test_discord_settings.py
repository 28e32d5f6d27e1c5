"""Settings on Discord, with the real discord.py against a double at the wire; Chorus is played."""

from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.guild import Who
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import User


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def said(place: Place, line: str, answer: str, by: User | None = None) -> None:
    """Somebody says a line, and this comes."""
    await place.ask(line, by)
    await place.discord.answered(place.channel, answer)


async def test_a_server_has_its_own_prefix_and_a_channel_that_is_listened_to(place: Place) -> None:
    place.told.tell("Aye.", None)
    async with place.present():
        await said(place, "!settings prefix ?", "prefix from now on: ?.", place.admin)
        await place.ask("!jobs")  # another bot's, now
        await said(place, "?jobs", "No jobs yet. Start one with ?train.")
        await said(place, "?settings listen on", "listen from now on: on.", place.admin)
        await said(place, "Who sails?", "Aye.")
    assert len(place.told.asked) == 1
    assert len(place.discord.said(place.channel)) == 4


async def test_answers_may_also_be_spoken(place: Place) -> None:
    place.told.tell("At eight.", None)
    async with place.present():
        await said(place, "!settings voice_replies on", "voice_replies from now on: on.", place.admin)
        await said(place, place.mention("When?"), "At eight.")
        spoken = await place.discord.until(
            lambda: [file for message in place.discord.said(place.channel) for file in message.attachments]
        )
    assert [file.data for file in spoken] == [b"At eight."]


async def test_rights_are_given_to_people_and_roles_of_the_server(place: Place) -> None:
    member = place.member
    admins = f"<@&{place.guild.admin_role}>"
    async with place.present():
        told = "✗ That person is no member of this server. [unknown_member]"
        await said(place, "!settings manage <@999999999999999999>", told, place.admin)
        told = f"manage from now on: {admins}, <@{member.id}>, and those who manage this server on Discord."
        await said(place, f"!settings manage @Admins <@{member.id}>", told, place.admin)
        await said(place, "!settings temperature 1", "temperature from now on: 1.0.")
        await said(place, f"!settings deny <@{member.id}>", f"deny from now on: <@{member.id}>.", place.admin)
        told = "✗ Those who manage this server have decided that you cannot use me here. [denied]"
        await said(place, place.mention("hello?"), told)
    chosen = place.world.guilds.others
    assert chosen.rights == {"manage": Who(roles=[place.guild.admin_role], users=[member.id])}
    assert not place.told.asked
