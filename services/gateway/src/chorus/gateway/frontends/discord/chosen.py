"""What servers have chosen, without asking the bus for each message: read once, and handed on."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from chorus.common.contracts.guild import GuildSettings
from chorus.common.errors import ChorusError
from chorus.gateway.commands.ports import Guilds
from chorus.gateway.commands.recent import Recent

FRESH = 2.0  # seconds; who changes a setting elsewhere is heeded after that
GUILDS = 2000  # remembered; the one that has been silent longest is forgotten first

log = structlog.get_logger()


@dataclass
class _Known:
    settings: GuildSettings
    at: float


class Chosen:
    """Settings by guild, at most `fresh` seconds old; older ones where the bus is away."""

    def __init__(self, guilds: Guilds, fresh: float = FRESH) -> None:
        self._guilds = guilds
        self._fresh = fresh
        self._known: Recent[str, _Known] = Recent(GUILDS)
        self._reading: dict[str, asyncio.Task[GuildSettings | None]] = {}

    async def of(self, guild: str) -> GuildSettings | None:
        """A guild's choices, read once for all who ask meanwhile; None where they cannot be known."""
        known = self._known.get(guild)
        if known and time.monotonic() - known.at < self._fresh:
            return known.settings
        if guild not in self._reading:
            self._reading[guild] = asyncio.create_task(self._read(guild))
        return await asyncio.shield(self._reading[guild])

    def forget(self, guild: str) -> None:
        """Somebody may have changed them just now: what is being read may be older than that."""
        self._reading.pop(guild, None)
        if known := self._known.get(guild):
            known.at = -self._fresh

    async def _read(self, guild: str) -> GuildSettings | None:
        try:
            settings = await self._guilds.settings(guild)
        except ChorusError as error:
            log.warning("a server's choices cannot be read", guild=guild, code=error.code)
            known = self._known.get(guild)
            if known is None:
                return None
            settings = known.settings
        finally:
            if self._reading.get(guild) is asyncio.current_task():
                del self._reading[guild]
        self._known.put(guild, _Known(settings, time.monotonic()))
        return settings
