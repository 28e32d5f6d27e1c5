"""Who is in a server, as far as Discord tells."""

from collections.abc import Mapping

import aiohttp
import discord

from chorus.common.errors import Unavailable


class GuildPeople:
    """`ports.People` of one server."""

    def __init__(self, guild: discord.Guild) -> None:
        self._guild = guild

    def roles(self) -> Mapping[str, str]:
        """Names of its roles by their ids, but for the one that everybody has."""
        return {str(role.id): role.name for role in self._guild.roles if not role.is_default()}

    async def member(self, person: str) -> str | None:
        """What the person with this id is called in it, if they are a member. Raises `Unavailable`."""
        try:
            member = self._guild.get_member(int(person)) or await self._guild.fetch_member(int(person))
        except discord.NotFound:
            return None
        except (discord.DiscordException, aiohttp.ClientError, OSError):
            raise Unavailable("Discord does not say who is in this server. Try again.") from None
        return member.display_name
