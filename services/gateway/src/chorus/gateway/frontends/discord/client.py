"""Our member of Discord: hears messages, answers each once, ends cleanly."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import aiohttp
import discord
import structlog

from chorus.common.telemetry.logging import bind
from chorus.gateway.commands.context import Chorus, Context, Trust
from chorus.gateway.commands.replies import Progress
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.discord.files import AttachedFiles
from chorus.gateway.frontends.discord.history import GuildHistory
from chorus.gateway.frontends.discord.messages import channel_of, heard, names_of, runs_this_place, tenant
from chorus.gateway.frontends.discord.place import Beneath
from chorus.gateway.frontends.discord.render import Renderer
from chorus.gateway.frontends.discord.rooms import Room, Rooms
from chorus.gateway.frontends.discord.work import Work
from chorus.gateway.settings import GatewaySettings

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
SEEN = 1000  # messages; after a broken connection Discord may deliver some of them again
RATE_LIMITED_AT_MOST = 60.0  # seconds that a request waits for its turn at Discord
GUILDS_WITHIN = 1.0  # seconds without one more server until all are known
CLOSE_WITHIN = 5.0  # seconds

log = structlog.get_logger()


class Client(discord.Client):
    """One connection to Discord, from login to close. A new connection is a new client."""

    def __init__(
        self, chorus: Chorus, settings: GatewaySettings, rooms: Rooms, on_login: Callable[[str], None]
    ) -> None:
        super().__init__(
            intents=INTENTS,
            allowed_mentions=discord.AllowedMentions.none(),  # whatever a model writes, nobody is pinged
            chunk_guilds_at_startup=False,
            guild_ready_timeout=GUILDS_WITHIN,
            max_messages=None,
            max_ratelimit_timeout=RATE_LIMITED_AT_MOST,
        )
        logging.getLogger("discord.http").setLevel(logging.INFO)  # below, it would log what people say
        self._chorus = chorus
        self._settings = settings
        self._rooms = rooms
        self._on_login = on_login
        self._work = Work()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.online = self.was_online = False
        """Whether Discord tells us what people say; whether it ever did."""

    async def on_ready(self) -> None:
        """Logged in, and told which servers we are in."""
        self.online = self.was_online = True
        self._on_login(str(self.user))

    async def on_resumed(self) -> None:
        """Connected again; what was said meanwhile is delivered late."""
        self.online = True

    async def on_disconnect(self) -> None:
        """The connection broke; discord.py makes a new one."""
        self.online = False

    async def on_message(self, message: discord.Message) -> None:
        """Answer a message that is meant for us, once."""
        line = heard(message, self.user.id) if self.user else None
        if line is None or self._work.stopping or self._is_seen(message.id):
            return
        room = self._rooms.of(message.channel.id, tenant(message))
        with bind(guild=room.guild, channel=str(message.channel.id), message=str(message.id)):
            try:
                await self._answer(message, line, room)
                room.silenced = False
            except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
                self._tell_refusal(error, room)

    def _is_seen(self, message: int) -> bool:
        seen = message in self._seen
        self._seen[message] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return seen

    async def _answer(self, message: discord.Message, line: str, room: Room) -> None:
        asker = message.author
        ctx = Context(
            chorus=self._chorus,
            guild=room.guild,
            user=str(message.author.id),
            session=room.session,
            forget_conversations=partial(self._rooms.forget, room.guild),
            files=AttachedFiles(message.attachments, self._settings.discord_cdn, self._settings.max_upload),
            key=str(message.id),
            admin=runs_this_place(message),
            names=names_of(asker),
            trust=Trust(self._settings.train_on_messages, self._settings.train_permission or None),
            channel=channel_of(message),
            history=GuildHistory(self, asker) if isinstance(asker, discord.Member) else None,
        )
        async with Beneath(message) as place:
            with self._work.in_hand(lasting=False):
                reply = await run(ctx, line)
            with self._work.in_hand(lasting=isinstance(reply, Progress)):
                await Renderer(place, room.pace).show(reply)

    async def tell(self, text: str, rooms: Mapping[int, Room]) -> None:
        """Say what nobody asked for, in these channels."""
        for channel, room in rooms.items():
            with bind(guild=room.guild, channel=str(channel)):
                try:
                    await self.get_partial_messageable(channel).send(text, suppress_embeds=True)
                except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
                    self._tell_refusal(error, room)

    def _tell_refusal(self, error: Exception, room: Room) -> None:
        """One line in the log; where we may not speak, one line until we may again."""
        if isinstance(error, discord.Forbidden):
            if not room.silenced:
                log.warning("Discord does not let us speak in this channel", error=str(error))
            room.silenced = True
        elif isinstance(error, discord.NotFound):
            log.info("message is gone; its reply was left", error=str(error))
        else:
            log.warning("Discord did not take a reply", error=str(error) or repr(error))

    async def on_error(self, event_method: str, /, *_args: object, **_kwargs: object) -> None:
        """Whatever a handler raises: a line in the log, and we go on."""
        log.exception("event failed", handler=event_method)  # noqa: LOG004 - called while it is handled

    async def leave(self, grace: float) -> None:
        """Finish what is in hand within `grace` seconds, say good-bye, close."""
        await self._work.stop(grace)
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(CLOSE_WITHIN):
                await self.close()
