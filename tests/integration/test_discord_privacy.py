"""What is for one person alone, on Discord: their words in private, and conversations that are forgotten."""

from collections.abc import AsyncIterator

import pytest

from tests.support.discord.double import running_discord
from tests.support.discord.place import Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def test_whoever_is_forgotten_is_forgotten_in_all_channels_of_the_server(place: Place) -> None:
    other, private = place.discord.channel(place.guild), place.discord.channel(None)
    place.told.tell("one", None, "two", None, "three", None, "four", None)
    async with place.present():
        await place.ask(place.mention("first"))
        await place.discord.answered(place.channel, "one")
        await place.discord.say(private, place.member, "elsewhere")
        await place.discord.answered(private, "two")
        await place.discord.say(other, place.member, "!privacy delete sure=True")
        await place.discord.until(lambda: place.discord.said(other))
        await place.ask(place.mention("second"))
        await place.discord.answered(place.channel, "three")
        await place.discord.say(private, place.member, "again")
        await place.discord.answered(private, "four")
    asked = [[turn.content for turn in turns] for _, _, turns in place.told.asked]
    assert asked == [["first"], ["elsewhere"], ["second"], ["elsewhere", "two", "again"]]


async def test_ones_words_are_handed_over_in_private(place: Place) -> None:
    async with place.present():
        await place.ask("!privacy export")
        await place.discord.answered(place.channel, "Sent to you as a direct message.")
    (message,) = place.discord.said(place.discord.rest.private[place.member.id])
    assert message.content == "All that is kept of your words: 12 messages."
    assert [(file.name, file.data) for file in message.attachments] == [("my-words.zip", b"local/words")]
    (told,) = place.discord.said(place.channel)
    assert not told.attachments


async def test_who_asks_in_private_has_their_words_there(place: Place) -> None:
    private = place.discord.channel(None)
    async with place.present():
        await place.discord.say(private, place.member, "!privacy export")
        await place.discord.until(lambda: place.discord.said(private))
    (message,) = place.discord.said(private)
    assert [file.name for file in message.attachments] == ["my-words.zip"]
    assert not place.discord.rest.private


async def test_who_takes_no_direct_messages_is_told_what_to_do(place: Place) -> None:
    place.discord.rest.unwelcome.add(place.member.id)
    async with place.present():
        await place.ask("!privacy export")
        await place.discord.until(lambda: place.discord.said(place.channel))
    (told,) = place.discord.said(place.channel)
    assert "Privacy Settings" in told.content
    assert told.content.endswith("[direct_messages_closed]")
    assert not told.attachments
