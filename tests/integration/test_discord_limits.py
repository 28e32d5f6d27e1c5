"""Discord's limits beyond those of a channel: for all that a bot asks, and for messages that are old."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.discord import limits
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place

CROWD = 100


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def test_when_many_ask_at_once_nobodys_reply_is_lost(place: Place) -> None:
    channels = [place.discord.channel(place.guild, f"room-{number}") for number in range(CROWD)]
    async with place.present():
        for channel in channels:
            await place.discord.say(channel, place.member, "!jobs")
        await place.discord.until(lambda: all(place.discord.said(channel) for channel in channels))
    assert place.discord.rest.limits.refused < CROWD / 10


async def test_what_all_of_the_bots_processes_use_up_is_waited_for(place: Place) -> None:
    place.discord.rest.limits.a_second = 3
    async with place.present():
        for _ in range(4):
            await place.ask("!jobs")
        await place.discord.until(lambda: len(place.discord.said(place.channel)) == 4)
    assert place.discord.rest.limits.refused


@pytest.mark.parametrize("again", [0.01, 90.0])
async def test_a_message_that_is_too_old_to_be_edited_goes_on_in_a_new_one(
    place: Place, again: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUESTS", 1000)  # in five seconds: the channel's limit is not meant here
    at_discord = place.discord.rest.limits
    at_discord.again_when_old = again
    async with place.present(discord_edit_every=0.1):
        await place.ask(place.mention("tell me a long story"))
        place.told.tell("Once")
        old = await place.discord.answered(place.channel, "Once")
        at_discord.ahead = timedelta(hours=2)
        for word in ("upon", "a", "time"):
            before = place.discord.said(place.channel)[-1].content
            place.told.tell(f" {word}")
            await place.discord.answered(place.channel, f"{before} {word}")
        place.told.tell(None)
        new = await place.discord.answered(place.channel, "Once upon a time")
        await place.discord.until(lambda: new.components)
    assert old.content == "Once upon a"
    assert new is not old
