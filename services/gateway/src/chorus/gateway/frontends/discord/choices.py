"""What servers have chosen about how to be listened to, without asking the bus for each message."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from chorus.common.contracts.guild import GuildSettings
from chorus.common.errors import ChorusError
from chorus.gateway.commands.ports import Guilds

FRESH = 2.0  # seconds; who changes a setting elsewhere is heeded after that
GUILDS = 2000  # remembered; the one that has been silent longest is forgotten first

log = structlog.get_logger()


@dataclass
class _Known:
    settings: GuildSettings
    at: float


class Choices:
    """Settings by guild, at most `fresh` seconds old; older ones where the bus is away."""

    def __init__(self, guilds: Guilds, fresh: float = FRESH) -> None:
        self._guilds = guilds
        self._fresh = fresh
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: dict[str, asyncio.Task[GuildSettings]] = {}

    async def of(self, guild: str) -> GuildSettings:
        """A guild's choices. They are read once for all who ask meanwhile."""
        known = self._known.get(guild)
        if known and time.monotonic() - known.at < self._fresh:
            return known.settings
        if guild not in self._reading:
            self._reading[guild] = asyncio.create_task(self._read(guild))
        return await asyncio.shield(self._reading[guild])

    def forget(self, guild: str) -> None:
        """Somebody may have changed them just now."""
        if known := self._known.get(guild):
            known.at = -self._fresh

    async def _read(self, guild: str) -> GuildSettings:
        try:
            settings = await self._guilds.settings(guild)
        except ChorusError as error:
            log.warning("a server's choices cannot be read", guild=guild, code=error.code)
            known = self._known.get(guild)
            settings = known.settings if known else GuildSettings()
        finally:
            del self._reading[guild]
        self._known[guild] = _Known(settings, time.monotonic())
        self._known.move_to_end(guild)
        if len(self._known) > GUILDS:
            self._known.popitem(last=False)
        return settings
