"""A friendly word where we have just come: in the server's system channel, or to its owner.

Discord tells of each server also when we log in, and after it was away. discord.py tells those from a server
that is new to us; that we came only a moment ago, Discord says itself, so nobody is greeted twice.
"""

from datetime import UTC, datetime, timedelta

import discord
import structlog

from chorus.common.contracts.consent import Mode
from chorus.gateway.commands.welcome import greeting
from chorus.gateway.frontends.discord.failures import FAILURES, reason

JUST_NOW = timedelta(minutes=10)

log = structlog.get_logger()


def has_just_come(guild: discord.Guild) -> bool:
    """Whether we are new in a server."""
    joined = guild.me.joined_at
    return joined is not None and datetime.now(UTC) - joined < JUST_NOW


async def greet(client: discord.Client, guild: discord.Guild, mode: Mode) -> None:
    """Say who we are, where we may: in one place, once. Where nobody can be told, the log knows."""
    text = greeting(guild.me.mention, mode)
    channel = guild.system_channel
    if channel and not channel.permissions_for(guild.me).send_messages:
        channel = None
    for where in filter(None, (channel, guild.owner_id)):
        try:
            place = await client.create_dm(discord.Object(where)) if isinstance(where, int) else where
            await place.send(text, suppress_embeds=True)
        except FAILURES as error:
            log.info("no greeting", guild=str(guild.id), reason=reason(error))
        else:
            return
