"""A server's channels, read by a process that is not on Discord.

Nothing is connected that would hear what is said: what has to be known of the server is asked for. So a
command line can read it beside the bot, which may be there at the same time.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import discord

from chorus.common.errors import Misconfigured, NotFound, NotPermitted
from chorus.gateway.frontends.discord.frontend import UNKNOWN_BOT
from chorus.gateway.frontends.discord.history import GuildHistory, told
from chorus.gateway.frontends.discord.identify import use_api


@asynccontextmanager
async def history_of(guild: str, token: str, api: str) -> AsyncGenerator[GuildHistory]:
    """The history of a server, as far as the bot with this token may read it.

    Raises `Misconfigured` where Discord does not know the token, `NotFound` where the bot is not in that
    server, `Unavailable` where Discord does not answer.
    """
    use_api(api)
    async with discord.Client(intents=discord.Intents(guilds=True)) as client:
        yield await _asked_for(client, guild, token)


async def _asked_for(client: discord.Client, guild: str, token: str) -> GuildHistory:
    try:
        with told():
            try:
                await client.login(token)
            except discord.LoginFailure:
                raise Misconfigured(UNKNOWN_BOT) from None
            bot = cast(discord.ClientUser, client.user)  # there is one now
            server = await client.fetch_guild(int(guild))
            me = await server.fetch_member(bot.id)
            return GuildHistory(client, me, me=me, channels=await server.fetch_channels())
    except (NotFound, NotPermitted):
        raise NotFound(
            f"The bot is in no server {guild}. Invite it there (`chorus init` prints the link), or give "
            "another id.",
            code="unknown_server",
            param="mine",
        ) from None
