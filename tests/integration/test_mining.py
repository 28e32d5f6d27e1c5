"""`!mine` with the real discord.py against the double, with NATS and S3; the trainer is played."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from chorus.common.contracts.mining import mining_key
from chorus.gateway.commands import reading
from chorus.gateway.frontends.discord import client
from tests.support.discord.answers import come_again
from tests.support.discord.world import (
    CATEGORY,
    FORUM,
    NEWS,
    NEWS_THREAD,
    PRIVATE_THREAD,
    VOICE,
    Attachment,
    Channel,
)
from tests.support.mining import BEGAN, PERMITTED, Mining, a_mining
from tests.support.servers import Servers


@pytest.fixture
async def mining(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mining]:
    monkeypatch.setattr(client, "GUILDS_WITHIN", 0.1)  # seconds; there is one server
    async with a_mining(servers) as mining:
        yield mining


def kinds(mining: Mining) -> dict[str, Channel]:
    """A channel of every kind, by name."""
    discord, guild = mining.place.discord, mining.place.guild
    text = discord.channel(guild, "🦊・chat")
    news, forum = discord.channel(guild, "news", NEWS), discord.channel(guild, "ideas", FORUM)
    discord.channel(guild, "a category", CATEGORY)
    found = [
        text,
        news,
        discord.channel(guild, "Quarter Deck", VOICE),
        discord.thread(text, "a thread"),
        discord.thread(text, "an old thread", archived=True),
        discord.thread(text, "an old secret", PRIVATE_THREAD, archived=True),
        discord.thread(news, "comments", NEWS_THREAD, archived=True),
        discord.thread(forum, "A bigger boat?"),
        discord.thread(forum, "an old post", archived=True),
    ]
    return {channel.name: channel for channel in found}


async def test_a_slash_command_reads_as_a_line_does(mining: Mining) -> None:
    mining.said(mining.place.channel, mining.ada, "ada says this")
    async with mining.place.present(**PERMITTED):
        await mining.place.discord.slash(mining.place.channel, mining.place.admin, "mine", name="club")
        await mining.until("Train on it")
    said = [message["content"] for export in await mining.exports() for message in export["messages"]]
    assert (mining.imports[0].name, said) == ("club", ["ada says this"])


async def test_every_kind_of_channel_is_read_and_only_who_opted_in_is_kept(mining: Mining) -> None:
    for name, channel in kinds(mining).items():
        mining.said(channel, mining.ada, f"ada in {name}")
        mining.said(channel, mining.bob, "PRIVATE of bob")
    told = await mining.mine("!mine name=club gap_minutes=30")
    exports = {export["channel"]["name"]: export for export in await mining.exports()}
    assert list(exports) == [
        "🦊・chat", "a thread", "an old thread", "an old secret", "news", "comments", "A bigger boat?",
        "an old post", "Quarter Deck",
    ]  # fmt: skip
    assert [m["content"] for export in exports.values() for m in export["messages"]] == [
        f"ada in {name}" for name in exports
    ]
    assert exports["A bigger boat?"]["channel"]["category"] == "ideas"
    (asked,) = mining.imports
    assert "PRIVATE" not in json.dumps(await mining.exports())
    assert await mining.stored() == {source.file.key for source in asked.files}, "and nothing else is stored"
    assert (asked.guild, asked.name, asked.contributor) == (
        mining.place.guild.id, "club", mining.place.admin.id,
    )  # fmt: skip
    assert (asked.basis.way, asked.basis.mode, asked.basis.reference) == ("mined", "permitted", "DISCORD-1")
    assert asked.options.gap_minutes == 30
    assert "9 of people who opted in are kept; 10 of others were passed over." in told, "!mine is one of them"
    assert "Dataset club@1" in told


async def test_a_message_is_stored_as_exporters_store_it(mining: Mining) -> None:
    robot = mining.place.discord.person("robot", bot=True)
    first = mining.said(mining.place.channel, mining.ada, "Where were\nyou? 🌊 <@1>")
    picture = Attachment("boat.png", b"png")
    mining.said(mining.place.channel, mining.ada, "There.", reply_to=first, files=[picture])
    mining.said(mining.place.channel, robot, "beep")
    mining.said(mining.place.channel, mining.ada, "through a webhook", webhook=True)
    mining.said(mining.place.channel, mining.ada, "a notice", kind=6)
    mining.said(mining.place.channel, mining.ada, "", files=[picture])
    await mining.mine()
    (export,) = await mining.exports()
    one, two = export["messages"]
    assert export["channel"]["type"] == "GuildTextChat"
    assert (one["id"], one["type"], one["content"]) == (first.id, "Default", "Where were\nyou? 🌊 <@1>")
    assert (one["author"]["id"], one["author"]["name"], one["author"]["isBot"]) == (
        mining.ada.id, "ada", False,
    )  # fmt: skip
    assert datetime.fromisoformat(one["timestamp"]) == BEGAN + timedelta(minutes=1)
    assert (two["type"], two["reference"]["messageId"]) == ("Reply", first.id)
    assert [file["fileName"] for file in two["attachments"]] == ["boat.png"]


@pytest.mark.parametrize("mode", ["off", "submitted"])
async def test_without_discords_permission_discord_is_not_asked_at_all(mining: Mining, mode: str) -> None:
    mining.said(mining.place.channel, mining.ada, "hello")
    told = await mining.mine(ends="[mining_not_permitted]", train_on_messages=mode, train_permission="")
    assert "rule 21" in told
    assert mining.history.asked == mining.history.listed == []
    assert not mining.imports


async def test_in_private_there_is_no_history(mining: Mining) -> None:
    private = mining.place.discord.channel(None)
    async with mining.place.present(**PERMITTED):
        await mining.place.discord.say(private, mining.ada, "!mine")
        await mining.place.discord.until(
            lambda: any("[no_history]" in m.content for m in mining.place.discord.said(private))
        )
    assert mining.history.asked == []


async def test_a_bot_that_may_not_read_words_says_so(mining: Mining) -> None:
    mining.said(mining.place.channel, mining.ada, "hello")
    mining.place.discord.rest.reads_content = False
    told = await mining.mine(ends="[no_message_content]")
    assert "Message Content Intent" in told
    assert mining.history.asked == []


async def test_a_long_channel_is_read_in_pages_from_the_oldest(mining: Mining) -> None:
    said = [mining.said(mining.place.channel, mining.ada, f"word {n}") for n in range(250)]
    await mining.mine()
    assert mining.history.asked == [("general", "0"), ("general", said[99].id), ("general", said[199].id)]
    (export,) = await mining.exports()
    assert [message["id"] for message in export["messages"]] == [message.id for message in said]


async def test_the_second_time_only_news_are_read_and_all_is_imported(mining: Mining) -> None:
    discord, guild = mining.place.discord, mining.place.guild
    quiet = discord.channel(guild, "quiet")
    mining.said(quiet, mining.ada, "one")
    old = mining.said(mining.place.channel, mining.ada, "two")
    await mining.mine()
    cursor = mining.place.channel.latest or ""
    assert int(cursor) >= int(old.id)
    mining.history.asked.clear()
    new = discord.once(mining.place.channel, mining.ada, "three")
    await mining.mine()
    ((channel, after),) = mining.read
    assert channel == "general"
    assert int(old.id) <= int(after) < int(new.id)
    first, second = mining.imports
    assert second.files[:1] == first.files
    assert len(second.files) == 2
    assert sum(message["content"] == "two" for e in await mining.exports() for message in e["messages"]) == 1
    assert new.id in await mining.ids()


async def test_words_of_who_opts_out_do_not_come_back(mining: Mining) -> None:
    mining.said(mining.place.channel, mining.ada, "one")
    await mining.mine()
    await mining.opt(mining.ada, "out")
    mining.place.discord.once(mining.place.channel, mining.ada, "two")
    await mining.mine()
    assert len(await mining.ids()) == 1, "what is stored is left out of the dataset by the trainer"
    await mining.mine("!mine anew=True", ends="[nothing_mined]")
    assert len(mining.imports) == 2


async def test_what_was_read_survives_a_stop_and_nothing_comes_twice(
    mining: Mining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "KEPT_AT_ONCE", 100)
    discord, guild = mining.place.discord, mining.place.guild
    channels = [mining.place.channel, discord.channel(guild, "second")]
    said = [mining.said(channel, mining.ada, f"{n}") for channel in channels for n in range(150)]
    mining.history.held_after = 2  # one part is stored, another is begun
    async with mining.place.present(**PERMITTED):
        await mining.place.ask("!mine", mining.place.admin)
        await discord.until(lambda: not mining.history.flows.is_set())
    mining.history.held_after = None
    mining.history.flows.set()
    entry = await mining.records.get(mining_key(guild.id, "mined"))
    assert entry is not None
    assert [part.messages for part in entry.value.parts] == [100]
    assert not mining.imports
    mining.history.asked.clear()
    await mining.mine()
    assert mining.read[0] == ("general", said[99].id)
    ids = await mining.ids()
    mine = {message.id for message in said}
    assert [i for i in ids if i in mine] == sorted(mine), "none is lost, and none is doubled"


async def test_channels_that_are_closed_or_gone_are_told_and_the_rest_is_read(mining: Mining) -> None:
    discord, guild, place = mining.place.discord, mining.place.guild, mining.place
    closed, surprise, gone, board = (
        discord.channel(guild, name) for name in ("closed", "surprise", "gone", "board")
    )
    for channel in (closed, surprise, gone, board):
        mining.said(channel, mining.ada, f"ada in {channel.name}")
    hidden = discord.channel(guild, "___hidden___")  # how Discord calls what a bot may not see
    for channel in (closed, hidden):
        channel.closed_to.add(discord.bot.id)
    board.closed_to.add(place.admin.id)
    mining.history.closed.add(surprise.id)
    mining.history.gone.add(gone.id)
    mining.said(place.channel, mining.ada, "hello")
    told = await mining.mine()
    assert [export["channel"]["name"] for export in await mining.exports()] == ["general"]
    assert "I may not read #closed, #surprise, #gone." in told
    assert "You may not read 1 channel" in told
    assert "board" not in told


async def test_private_threads_are_read_only_by_who_may_manage_them(mining: Mining) -> None:
    mining.place.guild.admins.remove(mining.place.discord.bot)
    for channel in kinds(mining).values():
        mining.said(channel, mining.ada, "hello")
    await mining.mine()
    names = [export["channel"]["name"] for export in await mining.exports()]
    assert "an old thread" in names
    assert "an old secret" not in names
    assert not [path for path in mining.history.listed if path.endswith("private")]


async def test_when_discord_says_later_it_is_asked_again_later(mining: Mining) -> None:
    mining.said(mining.place.channel, mining.ada, "hello")
    mining.history.failures.append(come_again(0.3, {}))
    await mining.mine()
    assert len(await mining.ids()) == 1


async def test_when_discord_says_much_later_what_was_read_is_kept(mining: Mining) -> None:
    mining.said(mining.place.channel, mining.ada, "one")
    mining.said(mining.place.discord.channel(mining.place.guild, "second"), mining.ada, "two")
    mining.history.failures += [None, come_again(300.0, {})]
    told = await mining.mine(ends="[discord_unavailable]")
    assert "What was read is kept" in told
    assert not mining.imports
    mining.history.asked.clear()
    await mining.mine()
    assert ("second", "0") in mining.history.asked
    assert ("general", "0") not in mining.history.asked
    assert len(await mining.ids()) == 2
