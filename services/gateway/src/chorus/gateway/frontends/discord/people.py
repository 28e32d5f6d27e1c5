"""Who is in a server, and what whoever asks may read there, as far as Discord tells."""

from collections.abc import Mapping

import discord

from chorus.common.errors import Unavailable
from chorus.gateway.frontends.discord.failures import FAILURES

Place = discord.abc.GuildChannel | discord.Thread


class GuildPeople:
    """`ports.People` of the server that `asker` asks in."""

    def __init__(self, asker: discord.Member) -> None:
        self._asker = asker
        self._guild = asker.guild

    def roles(self) -> Mapping[str, str]:
        """Names of its roles by their ids, but for the one that everybody has."""
        return {str(role.id): role.name for role in self._guild.roles if not role.is_default()}

    async def member(self, person: str) -> str | None:
        """What the person with this id is called in it, if they are a member. Raises `Unavailable`."""
        try:
            member = self._guild.get_member(int(person)) or await self._guild.fetch_member(int(person))
        except discord.NotFound:
            return None
        except FAILURES:
            raise Unavailable("Discord does not say who is in this server. Try again.") from None
        return member.display_name

    async def may_read(self, channel: str) -> bool:
        """Whether the asker may; what is gone, or closed to the bot itself, nobody reads with its help."""
        try:
            place = self._guild.get_channel_or_thread(int(channel))
            place = place or await self._guild.fetch_channel(int(channel))
            return may_read(place, self._asker) and await self._is_in(place)
        except (discord.NotFound, discord.Forbidden, discord.InvalidData):
            return False
        except FAILURES:
            raise Unavailable("Discord does not say who may read that channel. Try again.") from None

    async def _is_in(self, place: Place) -> bool:
        """Whether the asker sees a thread that is private: those do who are in it, or manage threads."""
        if not isinstance(place, discord.Thread) or not place.is_private():
            return True
        if place.permissions_for(self._asker).manage_threads:
            return True
        try:
            await place.fetch_member(self._asker.id)
        except discord.NotFound:
            return False
        return True


async def by_member(message: discord.Message) -> discord.Message | None:
    """A message that was read back, its author as the member of the server; None if they have left it.

    Only a message that has just come tells that by itself. In direct messages there is nothing to tell.
    """
    if message.guild:
        try:
            message.author = await message.guild.fetch_member(message.author.id)
        except discord.NotFound:
            return None
    return message


def may_read(channel: Place, member: discord.Member) -> bool:
    """Whether a member may read what is said in a channel, or in the channel of a thread."""
    may = channel.permissions_for(member)
    voice = isinstance(channel, discord.VoiceChannel | discord.StageChannel)
    return may.read_messages and may.read_message_history and (may.connect or not voice)
