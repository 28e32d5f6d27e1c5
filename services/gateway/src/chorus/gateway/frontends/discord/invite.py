"""What a bot's page at Discord says, and the link that invites the bot with the least permissions."""

from dataclasses import dataclass

import discord

from chorus.common.errors import Misconfigured, Unavailable
from chorus.gateway.frontends.discord.failures import FAILURES
from chorus.gateway.frontends.discord.frontend import UNKNOWN_BOT
from chorus.gateway.frontends.discord.identify import use_api
from chorus.gateway.frontends.discord.permissions import INVITED, INVITED_TO_SPEAK

SCOPES = ("bot", "applications.commands")


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
    use_api(api)
    try:
        async with discord.Client(intents=discord.Intents.none()) as client:
            await client.login(token)
            page = await client.application_info()
            flags = page.flags
            reads = flags.gateway_message_content or flags.gateway_message_content_limited
            return Bot(str(client.user), page.id, reads)
    except discord.LoginFailure:
        raise Misconfigured(UNKNOWN_BOT) from None
    except FAILURES as error:
        raise Unavailable(
            f"Discord does not answer ({type(error).__name__}), so the token was not checked.",
            code="discord_unavailable",
        ) from None


def invitation(application: int, *, voice: bool = False, guild: int | None = None) -> str:
    """The address where whoever manages a server lets the bot in."""
    return discord.utils.oauth_url(
        application,
        permissions=INVITED_TO_SPEAK if voice else INVITED,
        guild=discord.Object(guild) if guild else discord.utils.MISSING,
        disable_guild_select=guild is not None,
        scopes=SCOPES,
    )
