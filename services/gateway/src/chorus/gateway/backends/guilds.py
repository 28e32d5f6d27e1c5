"""What guilds have chosen: entries in the bucket `settings`."""

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings, Notice


class BusGuilds:
    """`ports.Guilds`."""

    def __init__(self, settings: Bucket[GuildSettings]) -> None:
        self._settings = settings

    async def settings(self, guild: str) -> GuildSettings:
        """The guild's entry."""
        entry = await self._settings.get(guild)
        return entry.value if entry else GuildSettings()

    async def record_notice(self, guild: str, notice: Notice) -> None:
        """Write it into the guild's entry."""
        await self._settings.change(
            guild, lambda old: old.model_copy(update={"notice": notice}), initial=GuildSettings()
        )

    async def set_deadline(self, guild: str, days: int) -> None:
        """Write it into the guild's entry."""
        await self._settings.change(
            guild, lambda old: old.model_copy(update={"forget_within_days": days}), initial=GuildSettings()
        )
