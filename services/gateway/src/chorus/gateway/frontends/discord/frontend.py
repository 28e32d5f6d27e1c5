"""Being on Discord: log in, stay, come back after whatever breaks; leave when the process stops."""

import asyncio
import math
import random
import time
from collections.abc import Callable

import discord
import structlog
from prometheus_client import CollectorRegistry

from chorus.common.errors import Misconfigured
from chorus.gateway.commands.context import Chorus
from chorus.gateway.frontends.discord.client import Client
from chorus.gateway.frontends.discord.failures import reason
from chorus.gateway.frontends.discord.identify import Lanes, OwnLanes
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.metrics import DiscordMetrics
from chorus.gateway.settings import GatewaySettings

BACK_AFTER, BACK_AFTER_AT_MOST = 1.0, 60.0  # seconds until the first try to come back, and any later one
STEADY = 120.0  # seconds; what breaks sooner breaks again, and Discord counts how often we log in
NO_INTENT = "discord_intent_missing"
"""Code of the refusal that is mended on the bot's page, and not in our settings."""

UNKNOWN_BOT = (
    "CHORUS_DISCORD_TOKEN: Discord does not know this token. "
    "Copy the bot's token from discord.com/developers, page Bot."
)
NO_MESSAGES = (
    "Discord does not let this bot read messages. Switch on Message Content Intent at "
    "discord.com/developers, page Bot; or set CHORUS_DISCORD_INTENTS=minimal, and people mention it or use "
    "slash commands."
)
WRONG_SHARDS = (
    "CHORUS_DISCORD_SHARDS: Discord does not take these shards: each serves 2500 servers at most. "
    "Set it to `auto`, or name more of them."
)
REFUSALS = {4004: UNKNOWN_BOT, 4010: WRONG_SHARDS, 4011: WRONG_SHARDS}  # by close code

log = structlog.get_logger()


class Discord:
    """The front-end. `announce` hears as whom we are logged in, and when Discord is out of reach.

    `lanes` are shared by all processes of the bot; without them this one is alone.
    """

    def __init__(
        self,
        chorus: Chorus,
        settings: GatewaySettings,
        announce: Callable[[str], None],
        lanes: Lanes | None = None,
        metrics: DiscordMetrics | None = None,
    ) -> None:
        self._chorus = chorus
        self._settings = settings
        self._announce = announce
        self._announced = self._missed = False
        self._rooms = Rooms(settings.discord_edit_every)
        self._told: dict[int, Room] = {}
        self._lanes = lanes or OwnLanes()
        self._metrics = metrics or DiscordMetrics(CollectorRegistry())
        self._client = self._new_client()
        self._metrics.watch(
            lambda: self._client.online,
            lambda: len(self._client.guilds),
            lambda: 0.0 if math.isnan(self._client.latency) else self._client.latency,
        )

    def _new_client(self) -> Client:
        return Client(self._chorus, self._settings, self._rooms, self._lanes, self._logged_in, self._metrics)

    def _logged_in(self, name: str) -> None:
        log.info(f"Logged in as {name}")
        self._metrics.logged_in()
        if not self._announced:
            self._announce(f"Logged in as {name}.")
        self._announced, self._missed = True, False

    def _out_of_reach(self) -> None:
        """Say so once, until we are logged in again: the log has every try."""
        if not self._missed:
            self._announce("Discord is out of reach. It is tried again until it answers.")
        self._missed, self._announced = True, False

    def trouble(self) -> str | None:
        """Why nobody on Discord is answered now, if nobody is."""
        return None if self._client.online else "not connected"

    async def tell(self, text: str, back: bool) -> None:
        """Say that answers have to wait, where people talk to us; and there, that they are back."""
        if not back:
            self._told = self._rooms.lively()
        if self._client.online:
            await self._client.tell(text, self._told)

    async def stay(self, token: str) -> None:
        """Be there until cancelled. Raises `Misconfigured` when Discord refuses us for good."""
        wait = BACK_AFTER
        while True:
            try:
                await self._client.start(token)
                why = "the connection was closed"
            except Exception as error:  # discord.py raises many kinds when a connection breaks
                if refusal := _refusal(error):
                    raise refusal from None
                why = reason(error)
            finally:
                await self._client.leave(self._settings.grace)
            if self._was_steady():
                wait = BACK_AFTER
            log.warning("Discord is out of reach", reason=why, again_in_s=round(wait))
            self._out_of_reach()
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(wait * 2, BACK_AFTER_AT_MOST)
            self._client = self._new_client()

    def _was_steady(self) -> bool:
        """Whether the connection held for a while, so that it is worth being back soon."""
        ready_at = self._client.ready_at
        return ready_at is not None and time.monotonic() - ready_at > STEADY


def _refusal(error: Exception) -> Misconfigured | None:
    """What somebody has to mend before Discord lets us in, in words."""
    if isinstance(error, discord.LoginFailure):
        return Misconfigured(UNKNOWN_BOT)
    if isinstance(error, discord.PrivilegedIntentsRequired):
        return Misconfigured(NO_MESSAGES, code=NO_INTENT)
    if isinstance(error, discord.ConnectionClosed) and (told := REFUSALS.get(error.code)):
        return Misconfigured(told)
    return None
