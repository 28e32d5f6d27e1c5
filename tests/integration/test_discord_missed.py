"""What people say while no gateway is there to hear it: the next one answers it, once."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from chorus.gateway.frontends.discord.missed import LATELY
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.discord.world import PUBLIC_THREAD, VOICE, Channel, Message

LONG_AGO = datetime.now(UTC) - LATELY - timedelta(minutes=1)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


def replies(place: Place) -> Counter[str]:
    """How many replies each message has, by what it says."""
    messages = place.discord.rest.messages.values()
    return Counter(m.reply_to.content for m in messages if m.author == place.discord.bot and m.reply_to)


async def is_answered(place: Place, *messages: Message) -> None:
    await place.discord.until(lambda: {message.content for message in messages} <= set(replies(place)))


async def test_what_was_meant_for_us_is_answered_once_when_we_are_back(place: Place) -> None:
    discord, here = place.discord, place.channel
    other = discord.person("other", bot=True)
    talks = [
        discord.channel(place.guild, "call", VOICE),
        discord.thread(here, "aside", PUBLIC_THREAD),
        discord.channel(place.guild, "quiet"),
    ]
    async with place.present():
        await is_answered(place, await place.ask("!jobs", place.admin))
    discord.once(talks[2], place.member, "!help train", at=LONG_AGO)
    discord.once(here, place.member, "!help mine", at=LONG_AGO)
    for author, said in ((other, "!help use"), (place.member, "What a day!")):
        discord.once(here, author, said)
    discord.once(here, place.member, "!help say", webhook=True)
    missed = [
        discord.once(here, place.admin, "!settings language de"),
        discord.once(here, place.member, "!datasets"),
        *(discord.once(talk, place.member, f"!help {talk.name}") for talk in talks[:2]),
    ]
    discord.rest.history.asked.clear()
    async with place.present():
        await is_answered(place, *missed)
        live = await place.ask("!models")
        await is_answered(place, live)
    async with place.present():
        live_again = await place.ask("!version")
        await is_answered(place, live_again)
    expected = ["!jobs", *(message.content for message in [*missed, live, live_again])]
    assert replies(place) == dict.fromkeys(expected, 1)
    assert "quiet" not in {name for name, _ in discord.rest.history.asked}, "nothing was said there of late"
    answers = {m.reply_to.content: m.content for m in discord.said(here) if m.reply_to}
    assert answers["!settings language de"] == "language from now on: de.", "who asked is known as an admin"


async def test_what_comes_before_we_have_looked_is_answered_once(place: Place) -> None:
    history = place.discord.rest.history
    earlier = place.discord.once(place.discord.channel(place.guild, "read last"), place.member, "!jobs")
    missed = place.discord.once(place.channel, place.member, "!datasets")
    history.flows.clear()
    async with place.present():
        live = await place.ask("!models")
        await is_answered(place, live)
        assert set(replies(place)) == {live.content}, "nothing is read back yet"
        history.flows.set()
        await is_answered(place, earlier, missed)
    assert replies(place) == {message.content: 1 for message in (earlier, missed, live)}


async def test_a_channel_that_is_closed_to_us_keeps_no_other_one_waiting(place: Place) -> None:
    def said_in(name: str) -> Channel:
        return place.discord.once(place.discord.channel(place.guild, name), place.member, "!jobs").channel

    missed = place.discord.once(place.channel, place.member, "!datasets")
    known, unknown = said_in("known to be closed"), said_in("closed")
    known.closed_to.add(place.discord.bot.id)
    place.discord.rest.history.closed.add(unknown.id)
    with capture_logs() as logs:
        async with place.present():
            await is_answered(place, missed)
    refused = [log["channel"] for log in logs if log["event"] == "what was missed cannot be read"]
    assert refused == [unknown.id]
    assert replies(place) == {missed.content: 1}
