"""What a bot's page at Discord says, and the link that invites the bot with the least permissions."""

from dataclasses import dataclass

import aiohttp
import discord
from discord.http import Route

from chorus.common.errors import Misconfigured, Unavailable
from chorus.gateway.frontends.discord.frontend import UNKNOWN_BOT

SCOPES = ("bot", "applications.commands")
NEEDED = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
    add_reactions=True,
    use_application_commands=True,
)
FOR_VOICE = discord.Permissions(connect=True, speak=True, send_voice_messages=True)


@dataclass(frozen=True)
class Bot:
    """As its page has it."""

    name: str
    application: int
    reads_messages: bool
    """Whether Message Content Intent is switched on there."""


async def look_up(token: str, api: str) -> Bot:
    """Ask Discord whose token it is; nothing is connected.

    Raises `Misconfigured` where it knows none, `Unavailable` where it does not answer.
    """
    Route.BASE = api.rstrip("/")
    try:
        async with discord.Client(intents=discord.Intents.none()) as client:
            await client.login(token)
            page = await client.application_info()
            flags = page.flags
            reads = flags.gateway_message_content or flags.gateway_message_content_limited
            return Bot(str(client.user), page.id, reads)
    except discord.LoginFailure:
        raise Misconfigured(UNKNOWN_BOT) from None
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        raise Unavailable(
            f"Discord does not answer ({type(error).__name__}), so the token was not checked.",
            code="discord_unavailable",
        ) from None


def invitation(application: int, *, voice: bool = False, guild: int | None = None) -> str:
    """The address where whoever manages a server lets the bot in."""
    return discord.utils.oauth_url(
        application,
        permissions=NEEDED | FOR_VOICE if voice else NEEDED,
        guild=discord.Object(guild) if guild else discord.utils.MISSING,
        disable_guild_select=guild is not None,
        scopes=SCOPES,
    )
