"""How we log in to Discord: with which shards, to read what, and never two at once.

A shard is one connection, which hears of a part of the servers. Discord lets a bot identify once in five
seconds in each of its lanes (a shard's lane is its number modulo `max_concurrency`), and about a thousand
times a day: who does it more often loses the token. So a shard waits for its lane, which several processes
share, and a connection that broke is resumed, which costs nothing.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import discord
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from chorus.common.contracts.identify import IDENTIFY_EVERY
from chorus.gateway.settings import GatewaySettings

CONNECT_WITHIN = 600.0  # seconds for one shard, for it may wait for many others


class Lanes(Protocol):
    """Who may identify now."""

    async def enter(self, lane: int, shard: int) -> None:
        """Wait until nobody else identifies in this lane; it is ours for `IDENTIFY_EVERY` seconds then."""
        ...


class OwnLanes:
    """`Lanes` of a process that is alone."""

    def __init__(self, every: float = IDENTIFY_EVERY) -> None:
        self._every = every
        self._free_at: dict[int, float] = {}

    async def enter(self, lane: int, shard: int) -> None:  # noqa: ARG002 - whoever shares lanes says who waits
        """Wait for one's own earlier turn to be over."""
        now = time.monotonic()
        at = max(now, self._free_at.get(lane, now))
        self._free_at[lane] = at + self._every
        await asyncio.sleep(at - now)


class OutOfReach(Exception):
    """Discord cannot be reached now, or takes no more logins today. It is to be tried again."""


class Sharded(discord.AutoShardedClient):
    """A client with all shards, or those that the settings name. `on_login` hears our name.

    A first connection that fails ends it with `OutOfReach`: discord.py would try for ever, ever deeper, and
    tell nobody. Whoever started it makes a new one.
    """

    def __init__(
        self, settings: GatewaySettings, lanes: Lanes, on_login: Callable[[str], None], **options: Any
    ) -> None:
        use_api(settings.discord_api_base)
        DiscordWebSocket.DEFAULT_GATEWAY = URL(settings.discord_gateway_url)
        if shards := settings.shards:
            options |= {"shard_ids": list(shards.ids), "shard_count": shards.count}
        status = settings.discord_status
        super().__init__(
            intents=intents(settings.discord_intents),
            shard_connect_timeout=CONNECT_WITHIN,
            activity=discord.CustomActivity(status) if status else None,
            **options,
        )
        self._is_counted = shards is not None
        self._waits_for = lanes
        self._lanes = 1
        self._launched: set[int] = set()
        self._there: set[int] = set()
        self._on_login = on_login
        self.ready_at: float | None = None
        """When all shards were there for the first time, in the monotonic clock's seconds."""

    @property
    def online(self) -> bool:
        """Whether Discord tells us what people say, on every shard."""
        return self.ready_at is not None and self._there == set(self.shards)

    async def launch_shards(self) -> None:
        """Ask how many shards there are to be, and how many may identify at once; then begin."""
        count, _, limits = await self.http.get_bot_gateway()
        if limits["remaining"] < 1:
            hours = limits["reset_after"] / 3_600_000
            raise OutOfReach(f"this bot has logged in {limits['total']} times; again in {hours:.1f} h")
        self._lanes = limits["max_concurrency"]
        if not self._is_counted:
            self.shard_count = count  # once it is known, discord.py goes where the settings say
        await super().launch_shards()

    async def launch_shard(self, gateway: URL, shard_id: int, *, initial: bool = False) -> None:
        """One try: discord.py comes back here, after five seconds, when it has failed."""
        if shard_id in self._launched:
            raise OutOfReach("the first connection to Discord's gateway failed")
        self._launched.add(shard_id)
        await super().launch_shard(gateway, shard_id, initial=initial)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002
        """Wait for the shard's lane: others may be in it, in other processes, too."""
        shard = shard_id or 0
        await self._waits_for.enter(shard % self._lanes, shard)

    async def on_ready(self) -> None:
        """Logged in with all shards, and told which servers we are in."""
        self.ready_at = self.ready_at or time.monotonic()
        self._on_login(str(self.user))

    async def on_shard_ready(self, shard_id: int) -> None:
        """One part of the servers is heard."""
        self._there.add(shard_id)

    async def on_shard_resumed(self, shard_id: int) -> None:
        """It is heard again; what was said meanwhile is delivered late."""
        self._there.add(shard_id)

    async def on_shard_disconnect(self, shard_id: int) -> None:
        """A connection broke; discord.py makes a new one."""
        self._there.discard(shard_id)


def use_api(base: str) -> None:
    """Have discord.py ask Discord's API at this address, in the whole process."""
    Route.BASE = base.rstrip("/")


def intents(mode: Literal["minimal", "messages"]) -> discord.Intents:
    """What Discord is to tell us. To read what people say to each other is a privilege; the rest is not.

    Without it, we read what mentions us, answers us with a mention, or is said to us directly.
    """
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        guild_reactions=True,
        voice_states=True,
        dm_messages=True,
        dm_reactions=True,
        message_content=mode == "messages",
    )
