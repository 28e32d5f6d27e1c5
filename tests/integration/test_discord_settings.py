"""Settings on Discord, with the real discord.py against a double at the wire; Chorus is played."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chorus.common.contracts.guild import NOBODY, GuildSettings, Limits, Who
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.rows import COMMANDS
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


REFUSED = {
    "chat": "✗ Only some people may use me here. Ask those who manage this server. [not_permitted]",
    "train": "✗ !{} is for those who may train here: `!settings train` says who they are. [not_permitted]",
    "manage": "✗ !{} is for those who manage this server. Ask one of them. [not_permitted]",
}


async def test_who_lacks_its_right_is_refused_a_command_in_a_line_and_with_a_slash(place: Place) -> None:
    place.world.guilds.others = GuildSettings(rights={"chat": NOBODY})
    channels = {name: place.discord.channel(place.guild, name.replace("_", "-")) for name in COMMANDS}

    async def refused(command: Command) -> None:
        assert command.right is not None
        told, here = REFUSED[command.right].format(command.name), channels[command.name]
        await place.discord.say(here, place.member, f"!{command.name}")
        await place.discord.answered(here, told)
        required = {n: "x" for n, field in command.parameters.model_fields.items() if field.is_required()}
        slash = await place.discord.slash(here, place.member, command.name, **required)
        answer = await place.discord.shown(slash)
        assert (answer.content, answer.only_for) == (told, place.member)

    async with place.present():
        await asyncio.gather(*(refused(command) for command in COMMANDS.values() if command.right))
        care = await place.discord.slash(channels["privacy"], place.member, "privacy")
        assert (await place.discord.shown(care)).content.startswith("You have not said anything")
    assert not place.told.asked
    assert not place.world.jobs.records


async def test_a_quota_is_one_for_lines_and_slash_commands(place: Place) -> None:
    place.told.tell("Aye.", None)
    place.world.guilds.others = GuildSettings(quotas={"questions": Limits(everybody=1)})
    over = "✗ Your quota here is 1 question an hour, and you have had 1. Try again in "
    async with place.present():
        await said(place, "!ask Who sails?", "Aye.")
        slash = await place.discord.slash(place.channel, place.member, "ask", question="And who else?")
        assert (await place.discord.shown(slash)).content.startswith(over)
        await place.ask("!ask And who else?")
        await place.discord.until(lambda: place.discord.said(place.channel)[-1].content.startswith(over))
    assert len(place.told.asked) == 1


async def test_settings_are_chosen_in_a_form_from_a_list(place: Place) -> None:
    async with place.present():
        (name, *_) = place.discord.rest.interactions.command("settings", 1)["options"]
        assert name["autocomplete"], "there are more than Discord takes as choices"
        given = {"name": "language", "value": "de", "here": True}
        slash = await place.discord.slash(place.channel, place.admin, "settings", **given)
        told = "language from now on: de in this channel, whatever is spoken elsewhere."
        assert (await place.discord.shown(slash)).content == told
        shown = await place.discord.slash(place.channel, place.member, "settings")
        assert "- language · de in this channel" in (await place.discord.shown(shown)).content
    assert place.world.guilds.others.language_in(str(place.channel.id)) == "de"
