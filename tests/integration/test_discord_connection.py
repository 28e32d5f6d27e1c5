"""Logging in to Discord, staying there, and leaving: shards, lanes, intents, and whatever breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from chorus.common.bus.state import Bucket, open_bucket
from chorus.common.contracts.identify import IDENTIFY_EVERY, Identifying
from chorus.common.contracts.topology import IDENTIFY, KV_BUCKETS
from chorus.common.errors import Misconfigured
from chorus.gateway.backends.identify import BusLanes
from chorus.gateway.frontends.discord.frontend import NO_INTENT
from chorus.gateway.frontends.discord.frontend import Discord as FrontEnd
from chorus.gateway.frontends.discord.identify import OwnLanes
from tests.support.discord.double import running_discord
from tests.support.discord.place import Place
from tests.support.servers import Servers

EVERY = 0.3  # seconds between two that identify, in these tests
NO_JOBS = "No jobs yet. Start one with !train."
NO_DATASETS = "No datasets yet. Make one with !import or !train."


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with running_discord() as discord:
        yield Place(discord)


async def stay(place: Place, front: FrontEnd) -> asyncio.Task[None]:
    """The front-end, once it is logged in or has ended."""
    task = asyncio.create_task(front.stay(place.discord.token))
    await place.discord.until(lambda: front.trouble() is None or task.done())
    return task


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


# --- shards --------------------------------------------------------------------------------------
async def test_all_shards_that_discord_wants_log_in_one_after_another(place: Place) -> None:
    gateway = place.discord.gateway
    gateway.shards, gateway.identify_every = 3, EVERY
    front = FrontEnd(place.world.chorus, place.settings(), place.announced.append, OwnLanes(EVERY * 1.2))
    task = await stay(place, front)
    await place.ask("!jobs")
    await place.discord.answered(place.channel, NO_JOBS)
    await end(task)
    assert [shard for _, shard in gateway.logins] == [0, 1, 2]
    assert len(place.announced) == 1


async def test_a_process_has_the_shards_that_it_is_told_and_hears_their_servers_alone(place: Place) -> None:
    gateway = place.discord.gateway
    gateway.shards = 2
    shard = (int(place.guild.id) >> 22) % 2
    async with place.present(discord_shards=f"{1 - shard}/2"), place.present(discord_shards=f"{shard}/2"):
        await place.ask("!datasets")
        await place.discord.until(lambda: place.discord.said(place.channel))
    assert [message.content for message in place.discord.said(place.channel)] == [NO_DATASETS]
    assert [one for _, one in gateway.logins] == [1 - shard, shard]


async def test_processes_that_share_lanes_never_identify_at_once(place: Place) -> None:
    gateway, lanes = place.discord.gateway, OwnLanes(EVERY * 1.2)
    gateway.shards, gateway.identify_every = 4, EVERY
    fronts = [
        FrontEnd(place.world.chorus, place.settings(discord_shards=shards), place.announced.append, lanes)
        for shards in ("0-1/4", "2-3/4")
    ]
    tasks = await asyncio.gather(*(stay(place, front) for front in fronts))
    await end(*tasks)
    assert sorted(shard for _, shard in gateway.logins) == [0, 1, 2, 3]


async def test_where_discord_allows_several_at_once_lanes_do_not_wait_for_each_other(place: Place) -> None:
    gateway = place.discord.gateway
    gateway.shards = gateway.max_concurrency = 2
    gateway.identify_every = 60.0
    async with place.present():
        assert [shard for _, shard in gateway.logins] == [0, 1]


async def test_shards_that_discord_does_not_take_are_told(place: Place) -> None:
    place.discord.gateway.refuses_shards = True
    front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
    with pytest.raises(Misconfigured, match=r"^CHORUS_DISCORD_SHARDS: "):
        await front.stay(place.discord.token)


@pytest.fixture
async def short_turns(servers: Servers) -> AsyncIterator[None]:
    """Entries of the bucket `identify` run out within a moment."""
    (shipped,) = (bucket for bucket in KV_BUCKETS if bucket.name == f"KV_{IDENTIFY}")
    assert shipped.max_age == IDENTIFY_EVERY
    async with servers.connected("provisioner") as connection:
        js = connection.jetstream()
        await js.update_stream(shipped.evolve(max_age=EVERY, duplicate_window=EVERY))
        yield
        await js.update_stream(shipped)


@pytest.mark.usefixtures("short_turns")
async def test_a_lane_on_the_bus_is_one_gateway_s_at_a_time(servers: Servers) -> None:
    async with AsyncExitStack() as stack:
        one, two = [BusLanes(await _bucket(servers, stack), name) for name in ("one", "two")]
        await one.enter(0, 0)
        await two.enter(1, 1)  # another lane: at once
        began = asyncio.get_running_loop().time()
        await two.enter(0, 2)
        waited = asyncio.get_running_loop().time() - began
    assert waited > EVERY / 2, "some of it had gone by"


async def _bucket(servers: Servers, stack: AsyncExitStack) -> Bucket[Identifying]:
    connection = await stack.enter_async_context(servers.connected("gateway"))
    return await open_bucket(connection, IDENTIFY, Identifying)


# --- what breaks ---------------------------------------------------------------------------------
async def test_a_first_connection_that_is_refused_is_tried_again(place: Place) -> None:
    place.discord.rest.turned_away = True
    with capture_logs() as logs:
        front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
        task = asyncio.create_task(front.stay(place.discord.token))
        await place.discord.until(lambda: [log for log in logs if log["event"] == "Discord is out of reach"])
        place.discord.rest.turned_away = False
        await place.discord.until(lambda: front.trouble() is None)
    await end(task)
    assert [told.split(".")[0] for told in place.announced] == [
        "Discord is out of reach",
        "Logged in as chorus#0000",
    ]


async def test_a_bot_without_logins_left_waits_and_does_not_identify(place: Place) -> None:
    place.discord.rest.logins_left = 0
    with capture_logs() as logs:
        front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
        task = asyncio.create_task(front.stay(place.discord.token))
        refused = await place.discord.until(lambda: [log for log in logs if "reason" in log])
    await end(task)
    assert refused[0]["reason"] == "this bot has logged in 1000 times; again in 2.0 h"
    assert not place.discord.gateway.identified


async def test_an_event_that_cannot_be_read_ends_nothing(place: Place) -> None:
    with capture_logs() as logs:
        front = FrontEnd(place.world.chorus, place.settings(), place.announced.append, OwnLanes(0.0))
        task = await stay(place, front)
        await place.discord.gateway.tell("MESSAGE_CREATE", {"guild_id": place.guild.id, "id": "x"})
        await place.discord.until(lambda: place.discord.gateway.identified == 2 and not front.trouble())
        await place.ask("!jobs")
        await place.discord.answered(place.channel, NO_JOBS)
        await end(task)
    assert [log["event"] for log in logs].count("Discord is out of reach") == 1


async def test_after_a_broken_connection_the_session_is_resumed_and_nothing_is_heard_twice(
    place: Place,
) -> None:
    async with place.present() as front:
        asked = await place.ask('!train "words"', place.admin)
        await place.discord.until(lambda: any("✓" in m.content for m in place.discord.said(place.channel)))
        await place.discord.gateway.cut()
        await place.discord.deliver(asked)
        await place.discord.until(lambda: place.discord.gateway.resumed and not front.trouble())
        await place.ask("!jobs")
        await place.discord.until(lambda: len(place.discord.said(place.channel)) > 1)
    assert len(place.world.jobs.records) == 1
    assert (place.discord.gateway.identified, place.discord.gateway.resumed) == (1, 1)


# --- intents -------------------------------------------------------------------------------------
async def test_with_minimal_intents_mentions_and_direct_messages_are_answered(place: Place) -> None:
    place.discord.gateway.allows_messages = False
    private = place.discord.channel(None)
    place.told.tell("Hello.", None)
    async with place.present(discord_intents="minimal"):
        await place.ask("!jobs")  # nobody hears it
        await place.discord.say(private, place.member, "!jobs")
        await place.discord.answered(private, NO_JOBS)
        await place.ask(place.mention("how are you?"))
        await place.discord.answered(place.channel, "Hello.")
        await place.ask(place.mention("!help"))
        await place.discord.until(lambda: len(place.discord.said(place.channel)) > 1)
    said = "\n".join(message.content for message in place.discord.said(place.channel)[1:])
    assert said.count("In a server mention me before a command") == 1


async def test_a_missing_intent_has_a_code_of_its_own(place: Place) -> None:
    place.discord.gateway.allows_messages = False
    front = FrontEnd(place.world.chorus, place.settings(), place.announced.append)
    with pytest.raises(Misconfigured, match="CHORUS_DISCORD_INTENTS=minimal") as error:
        await front.stay(place.discord.token)
    assert error.value.code == NO_INTENT


async def test_a_status_stands_below_its_name(place: Place) -> None:
    async with place.present(discord_status="Ask me about the harbour"):
        ...
    assert place.discord.gateway.presences == ["Ask me about the harbour"]


# --- permissions ---------------------------------------------------------------------------------
async def test_where_it_may_not_speak_whoever_asked_is_told_once_what_is_missing(place: Place) -> None:
    place.discord.rest.silenced.add(place.channel.id)
    place.channel.closed_to.add(place.discord.bot.id)
    async with place.present():
        await place.ask("!jobs")
        await place.discord.until(lambda: place.discord.rest.private)
        private = place.discord.rest.private[place.member.id]
        await place.discord.until(lambda: place.discord.said(private))
        await place.ask("!jobs")
        await place.discord.say(private, place.member, "!jobs")
        await place.discord.answered(private, NO_JOBS)
    told, _ = place.discord.said(private)
    assert told.content == (
        f"I could not answer you in <#{place.channel.id}>: I lack *View Channel* there. "
        "Whoever manages the server can mend that in the channel's settings, page Permissions."
    )


async def test_where_a_channel_takes_nothing_at_all_whoever_asked_is_told_directly(place: Place) -> None:
    place.discord.rest.silenced.add(place.channel.id)
    async with place.present():
        await place.ask("!jobs")
        await place.discord.until(lambda: place.discord.rest.private)
        private = place.discord.rest.private[place.member.id]
        await place.discord.until(lambda: place.discord.said(private))
    (told,) = place.discord.said(private)
    assert told.content.startswith(f"I could not answer you in <#{place.channel.id}>: ")


async def test_where_nobody_can_be_told_it_goes_on(place: Place) -> None:
    place.discord.rest.silenced.add(place.channel.id)
    place.discord.rest.unwelcome.add(place.member.id)
    other = place.discord.channel(place.guild)
    async with place.present():
        await place.ask("!jobs")
        await place.discord.say(other, place.member, "!jobs")
        await place.discord.answered(other, NO_JOBS)
