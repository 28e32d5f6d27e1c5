"""Our front-end in servers of the double, with all of Chorus behind it. Discord holds nothing back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from chorus.common.bus.connection import connect
from chorus.common.settings import PREFIX
from chorus.gateway.app import all_of
from chorus.gateway.commands.context import Chorus
from chorus.gateway.frontends.discord import client
from chorus.gateway.frontends.discord.frontend import Discord as FrontEnd
from chorus.gateway.settings import GatewaySettings
from tests.support.chorus import RunningChorus
from tests.support.discord import limits
from tests.support.discord.double import Discord

MANY = 10**6


@asynccontextmanager
async def present(running: RunningChorus, discord: Discord) -> AsyncIterator[Chorus]:
    """The bot, logged in; what commands may ask of Chorus."""
    given = {
        name.removeprefix(PREFIX).lower(): value for name, value in running.environment("gateway").items()
    }
    at_once = {"discord_requests": MANY, "discord_edit_every": 0.1, "grace": 1.0}
    settings = GatewaySettings.model_validate({**given, **discord.settings(), **at_once})
    discord.rest.limits.a_second = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "GUILDS_WITHIN", 0.1)  # the double shows all servers at once
        patch.setattr(limits, "REQUESTS", MANY)
        async with connect(
            settings.nats_url, user="gateway", nkey_file=settings.nats_nkey_file, on_closed=print
        ) as connection:
            chorus = await all_of(connection, settings)
            front = FrontEnd(chorus, settings, print)
            task = asyncio.create_task(front.stay(discord.token))
            try:
                await discord.until(lambda: front.trouble() is None or task.done())
                yield chorus
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def kept(running: RunningChorus, guild: str) -> dict[str, int]:
    """The revision of every record that is kept of a server, by its subject on the bus."""
    async with running.connected("operator") as connection:
        js = connection.jetstream()
        found: dict[str, int] = {}
        for stream in await js.streams_info():
            name = stream.config.name or ""
            if name.startswith("KV_"):
                info = await js.stream_info(name, subjects_filter="$KV.>")
                for subject in info.state.subjects or {}:
                    if guild in subject.split("."):
                        found[subject] = (await js.get_last_msg(name, subject)).seq or 0
        return found
