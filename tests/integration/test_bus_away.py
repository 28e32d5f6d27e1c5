"""When the bus is away people are told so soon, whatever they ask, and whatever was being answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, suppress

import pytest

from chorus.common.bus.connection import Connection, connect
from chorus.common.bus.replies import ReplyStream
from chorus.common.bus.state import open_bucket
from chorus.common.contracts.generation import Delta
from chorus.common.contracts.guild import GuildSettings
from chorus.common.contracts.topology import SETTINGS
from chorus.common.errors import Unavailable
from chorus.gateway.app import BUS_AWAY_WITHIN, all_of
from chorus.gateway.frontends.discord.frontend import Discord as FrontEnd
from chorus.gateway.settings import GatewaySettings
from tests.support.discord.double import running_discord
from tests.support.discord.strict import BUTTON, ROW
from tests.support.servers import Servers, running_servers
from tests.support.streams import Count, replies_to, serving

TOLD_WITHIN = 3.0  # seconds
JOBS = {"type": BUTTON, "style": 2, "label": "Jobs", "custom_id": "run:!jobs"}


@pytest.fixture(scope="module")
async def mortal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Servers that may be killed."""
    async with running_servers(tmp_path_factory.mktemp("mortal")) as servers:
        yield servers


def impatient(servers: Servers, give_up_after: float) -> AbstractAsyncContextManager[Connection]:
    settings = servers.settings("gateway")
    return connect(
        settings.nats_url,
        user="gateway",
        nkey_file=settings.nats_nkey_file,
        on_closed=lambda _: None,
        give_up_after=give_up_after,
    )


async def kill(servers: Servers) -> None:
    """The bus is gone, and not only going."""
    servers.nats.child.kill()
    await servers.nats.ended()


async def start(servers: Servers) -> None:
    await servers.nats.start()
    await servers.nats.until_ready()


async def test_what_is_asked_and_what_is_being_answered_is_given_up_and_all_is_well_again(
    mortal: Servers,
) -> None:
    hanging = asyncio.Event()

    async def write(_: Count, replies: ReplyStream) -> None:
        await replies.send(Delta(i=0, text="half"))
        await hanging.wait()

    async with serving(mortal, write) as other, impatient(mortal, 0.3) as client:
        choices = await open_bucket(client, SETTINGS, GuildSettings)
        async with aclosing(replies_to(client, Count(to=2), patience=20.0)) as answer:
            assert (await anext(answer)).text == "half"
            await kill(mortal)
            started = time.monotonic()
            for asking in (anext(answer), choices.get("local"), anext(replies_to(client, Count(to=1)))):
                with pytest.raises(Unavailable) as told:
                    await asking
                assert told.value.code == "bus_unavailable"
            assert time.monotonic() - started < 1.5, "patience is for those who are busy"
        hanging.set()
        await start(mortal)
        async with asyncio.timeout(20):
            while not (client.is_connected and other.is_connected):
                await asyncio.sleep(0.05)
        assert await choices.get("local") is None
        assert [piece.text async for piece in replies_to(client, Count(to=1), patience=20.0)] == ["half"]


async def test_on_discord_whoever_asks_without_a_bus_is_told_within_three_seconds(mortal: Servers) -> None:
    async with running_discord() as discord, impatient(mortal, BUS_AWAY_WITHIN) as connection:
        guild, channel, admin = discord.guild()
        mentioned, trained = discord.channel(guild), discord.channel(guild)
        asker, private = discord.person("asker"), discord.channel(None)
        settings = GatewaySettings.model_validate(
            {**mortal.settings("gateway").model_dump(), **discord.settings(), "grace": 1.0}
        )
        front = FrontEnd(await all_of(connection, settings), settings, lambda _: None)
        staying = asyncio.create_task(front.stay(discord.token))
        await discord.until(lambda: front.trouble() is None)
        await discord.say(channel, admin, "!jobs")
        card = (await discord.until(lambda: discord.said(channel)))[0]
        card.components = [{"type": ROW, "components": [JOBS]}]
        await kill(mortal)
        asked = time.monotonic()
        await discord.say(mentioned, asker, f"<@{discord.bot.id}> are you there?")
        await discord.say(private, asker, "!jobs")
        await discord.say(trained, admin, '!train "words"')
        slash = await discord.slash(channel, asker, "jobs")
        press = await discord.press(card, "Jobs", asker)

        def told() -> list[str]:
            said = [discord.said(place) for place in (mentioned, private, trained)]
            return [messages[-1].content for messages in (*said, slash.shown, press.shown) if messages]

        await discord.until(lambda: len(told()) == 5)
        assert time.monotonic() - asked < TOLD_WITHIN
        assert all(text.endswith("[bus_unavailable]") for text in told()), told()
        await start(mortal)
        await discord.until(lambda: connection.is_connected)
        await discord.say(private, asker, "!jobs")
        await discord.answered(private, "No jobs yet. Start one with !train.")
        staying.cancel()
        with suppress(asyncio.CancelledError):
            await staying
