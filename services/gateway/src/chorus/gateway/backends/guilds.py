"""What guilds have chosen: entries in the bucket `settings`."""

from collections.abc import Callable

from chorus.common.bus.state import Bucket
from chorus.common.contracts.guild import GuildSettings, Notice
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES, encode
from chorus.common.errors import TooLarge


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
        await self.change(guild, lambda old: old.model_copy(update={"notice": notice}))

    async def set_deadline(self, guild: str, days: int) -> None:
        """Write it into the guild's entry."""
        await self.change(guild, lambda old: old.model_copy(update={"forget_within_days": days}))

    async def change(self, guild: str, changed: Callable[[GuildSettings], GuildSettings]) -> GuildSettings:
        """Compare and set, until it holds."""
        entry = await self._settings.change(
            guild, lambda old: _fitting(changed(old)), initial=GuildSettings()
        )
        return entry.value


def _fitting(settings: GuildSettings) -> GuildSettings:
    """The choices, if one entry can hold them."""
    if len(encode(settings)) > MAX_MESSAGE_BYTES:
        raise TooLarge(
            "Personas, examples and other choices have more than "
            f"{MAX_MESSAGE_BYTES // 1024} KiB together: shorten some."
        )
    return settings
