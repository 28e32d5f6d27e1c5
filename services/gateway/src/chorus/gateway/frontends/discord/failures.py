"""How Discord, or the way to it, lets us down: what is raised then, and what of it a log is told."""

import aiohttp
import discord

FAILURES = (discord.DiscordException, aiohttp.ClientError, OSError)
"""Discord refuses it, or has a fault of its own; HTTP fails; a socket breaks or is late."""


def reason(error: Exception) -> str:
    """Why, also where an error comes without words."""
    return str(error) or repr(error)
