"""What the bot says when it comes to a server: one friendly message, where it may speak, once."""

from collections.abc import AsyncIterator

import pytest

from chorus.gateway.commands.welcome import LEARNED
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import Channel, Guild


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


def new(place: Place, name: str) -> tuple[Guild, Channel]:
    """A server whose first channel is the one where Discord tells who has come."""
    guild, channel, _ = place.discord.guild(name)
    guild.system = channel
    return guild, channel


async def heard_all(place: Place) -> None:
    """What was told to the bot before has been dealt with."""
    await place.ask("!hi")
    await place.discord.answered(place.channel, "HI!")


async def test_a_new_server_is_greeted_once_and_those_it_was_in_are_not(place: Place) -> None:
    place.guild.system = place.channel
    async with place.present(train_on_messages="off"):
        guild, channel = new(place, "quay")
        await place.discord.invite(guild)
        (greeting,) = await place.discord.until(lambda: place.discord.said(channel))
        await place.discord.invite(guild)
        old, old_channel = new(place, "pier")
        old.joined = "2020-01-01T00:00:00+00:00"
        await place.discord.invite(old)
        await heard_all(place)
    assert place.discord.said(channel) == [greeting]
    assert greeting.content.startswith(f"Hello, I am <@{place.discord.bot.id}>")
    assert LEARNED["off"] in greeting.content
    assert place.discord.said(old_channel) == []
    assert [message.content for message in place.discord.said(place.channel)] == ["HI!"]


async def test_where_it_may_not_speak_the_owner_is_told_or_nobody(place: Place) -> None:
    rest = place.discord.rest
    async with place.present():
        closed, closed_channel = new(place, "closed")
        closed_channel.closed_to.add(place.discord.bot.id)
        silent, silent_channel = new(place, "silent")  # where permissions say another thing than Discord does
        rest.silenced.add(silent_channel.id)
        without, channel, _ = place.discord.guild("without")
        unwelcome, _, _ = place.discord.guild("unwelcome")
        rest.unwelcome.add(unwelcome.owner.id)
        for guild in (closed, silent, unwelcome, without):
            await place.discord.invite(guild)
        told = [guild.owner.id for guild in (closed, silent, without)]
        await place.discord.until(
            lambda: all(one in rest.private and place.discord.said(rest.private[one]) for one in told)
        )
        await heard_all(place)
    assert [len(place.discord.said(rest.private[one])) for one in told] == [1, 1, 1]
    assert not any(place.discord.said(quiet) for quiet in (closed_channel, silent_channel, channel))
