"""Discord on one port of loopback, and what people do there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import TypeVar

from aiohttp import web

from tests.support.discord.gateway import Gateway
from tests.support.discord.interactions import COMMAND, FORM, PRESS, Interaction
from tests.support.discord.rest import Rest
from tests.support.discord.strict import BUTTON, LABEL, MESSAGE_MENU, SLASH
from tests.support.discord.voice import Voice
from tests.support.discord.world import (
    PUBLIC_THREAD,
    TEXT,
    Attachment,
    Channel,
    Guild,
    Message,
    Payload,
    User,
    snowflake,
)

T = TypeVar("T")

WITHIN = 20.0  # seconds until something that should happen is given up


class Discord:
    """The double. `rest` and `gateway` tell what came in; `wrong` holds what should not have."""

    def __init__(self) -> None:
        self.bot = User("chorus", bot=True)
        self.token = f"token.of.{self.bot.id}"
        self.guilds: list[Guild] = []
        self.wrong: list[str] = []
        self._stirred = asyncio.Event()
        self.gateway = Gateway(self.token, self.bot, self.guilds, self.wrong)
        self.rest = Rest(self.token, self.bot, self.guilds, self.gateway, self.wrong, self._stirred.set)
        self.voice = Voice(self.bot, self.gateway, self.wrong, self._stirred.set)
        self.base = self.cache = ""

    def settings(self) -> dict[str, str]:
        """What a gateway needs to come here, by its settings' names."""
        return {
            "discord_token": self.token,
            "discord_api_base": f"{self.base}/api/v10",
            "discord_gateway_url": self.gateway.url,
            "discord_cdn": self.base,
            "cache": self.cache,
        }

    # --- who is there ----------------------------------------------------------------------------
    def person(self, name: str, *, bot: bool = False) -> User:
        """Somebody new."""
        user = User(name, bot)
        self.rest.people[user.id] = user
        return user

    def guild(self, name: str = "harbour") -> tuple[Guild, Channel, User]:
        """A server that the bot is in, with one channel and one admin: before it logs in, or see `invite`."""
        admin = self.person("admin")
        guild = Guild(name, owner=self.person("owner"), bot=self.bot, admins=[admin])
        self.guilds.append(guild)
        return guild, self.channel(guild), admin

    async def invite(self, guild: Guild) -> None:
        """The bot comes to a server that was made while it was logged in; or Discord says so once more."""
        there = {name: value for name, value in guild.payload.items() if name != "unavailable"}
        await self.gateway.tell("GUILD_CREATE", there | {"guild_id": guild.id})

    def channel(self, guild: Guild | None, name: str = "general", kind: int = TEXT) -> Channel:
        """A new channel of a server, or a private one."""
        channel = guild.channel(name, kind) if guild else Channel(None)
        self.rest.channels[channel.id] = channel
        return channel

    def thread(
        self,
        parent: Channel,
        name: str,
        kind: int = PUBLIC_THREAD,
        *,
        archived: bool = False,
    ) -> Channel:
        """A new thread in a channel, or a post in a forum."""
        thread = Channel(parent.guild, name, kind, parent, archived)
        self.rest.channels[thread.id] = thread
        assert parent.guild
        parent.guild.threads.append(thread)
        return thread

    # --- what they do ----------------------------------------------------------------------------
    async def say(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        files: Sequence[Attachment] = (),
        reply_to: Message | None = None,
        webhook: bool = False,
    ) -> Message:
        """Somebody says something."""
        message = Message(
            channel, author, content, list(files), reply_to, webhook=snowflake() if webhook else None
        )
        self.rest.messages[message.id] = message
        channel.latest = message.id
        self.rest.files |= {file.path: file for file in files}
        await self.deliver(message)
        return message

    async def deliver(self, message: Message) -> None:
        """Tell the bot of a message, for the first time or again."""
        event = message.event(self.base, self.rest.people)
        await self.gateway.tell("MESSAGE_CREATE", event)

    def once(
        self,
        channel: Channel,
        author: User,
        content: str,
        *,
        at: datetime | None = None,
        files: Sequence[Attachment] = (),
        reply_to: Message | None = None,
        webhook: bool = False,
        kind: int = 0,
    ) -> Message:
        """Something that was said while the bot was not there. `kind` is Discord's, of system notices."""
        hook = snowflake() if webhook else None
        message = Message(channel, author, content, list(files), reply_to, hook, kind, id=snowflake(at))
        self.rest.messages[message.id] = message
        channel.latest = message.id
        return message

    async def slash(self, channel: Channel, user: User, name: str, /, **options: object) -> Interaction:
        """Somebody sends a slash command. Files are options like others."""
        acts = self.rest.interactions
        command = acts.command(name, SLASH)
        given, resolved = acts.options(command, options)
        data = {"id": command["id"], "name": name, "type": SLASH, "options": given, "resolved": resolved}
        return await acts.begin(COMMAND, channel, user, data)

    async def menu(self, message: Message, name: str, user: User) -> Interaction:
        """Somebody chooses something from a message's menu."""
        acts = self.rest.interactions
        shown = message.payload(self.base, self.rest.people)
        data = {
            "id": acts.command(name, MESSAGE_MENU)["id"], "name": name, "type": MESSAGE_MENU,
            "target_id": message.id, "resolved": {"messages": {message.id: shown}},
        }  # fmt: skip
        return await acts.begin(COMMAND, message.channel, user, data)

    async def press(self, message: Message, label: str, user: User) -> Interaction:
        """Somebody presses a button."""
        assert message.only_for in (None, user), "nobody else sees it"
        buttons = [button for row in message.components for button in row["components"]]
        button = next(button for button in buttons if button["label"] == label)
        data = {"component_type": BUTTON, "custom_id": button["custom_id"]}
        return await self.rest.interactions.begin(PRESS, message.channel, user, data, message)

    async def submit(self, asked: Interaction, *words: str) -> Interaction:
        """Somebody sends in the form that they were asked to fill in."""
        form = await self.until(lambda: asked.form)
        fields = [label["component"] for label in form["components"]]
        filled = [
            {"type": LABEL, "id": number, "component": {**field, "id": number, "value": word}}
            for number, (field, word) in enumerate(zip(fields, words, strict=True))
        ]
        data = {"custom_id": form["custom_id"], "components": filled}
        return await self.rest.interactions.begin(FORM, asked.channel, asked.user, data, asked.on)

    async def react(self, message: Message, user: User, emoji: str) -> None:
        """Somebody reacts to a message."""
        event: Payload = {
            "user_id": user.id, "channel_id": message.channel.id, "message_id": message.id,
            "message_author_id": message.author.id, "emoji": {"id": None, "name": emoji}, "burst": False,
            "type": 0,
        }  # fmt: skip
        if guild := message.channel.guild:
            event |= {"guild_id": guild.id, "member": {"user": user.payload, **guild.member(user)}}
        await self.gateway.tell("MESSAGE_REACTION_ADD", event)

    async def take_back(self, message: Message, user: User, emoji: str) -> None:
        """Somebody takes a reaction back. Discord does not say whose message it was below."""
        event: Payload = {
            "user_id": user.id, "channel_id": message.channel.id, "message_id": message.id,
            "emoji": {"id": None, "name": emoji}, "burst": False, "type": 0,
        }  # fmt: skip
        if guild := message.channel.guild:
            event |= {"guild_id": guild.id}
        await self.gateway.tell("MESSAGE_REACTION_REMOVE", event)

    def delete(self, message: Message) -> None:
        """A message is gone; the bot's next edit of it will find that out."""
        message.deleted = True

    # --- what came of it -------------------------------------------------------------------------
    def said(self, channel: Channel) -> list[Message]:
        """What the bot has said in a channel, in order."""
        return [m for m in self.rest.messages.values() if m.channel is channel and m.author == self.bot]

    async def shown(self, interaction: Interaction, within: float = WITHIN) -> Message:
        """Wait until something that somebody did is answered by a message; the first of them."""
        return (await self.until(lambda: interaction.shown, within))[0]

    async def until(self, happened: Callable[[], T], within: float = WITHIN) -> T:
        """Wait until something is so; returns what makes it so."""
        try:
            async with asyncio.timeout(within):
                while not (found := happened()):
                    self._stirred.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stirred.wait(), 0.1)
                return found
        except TimeoutError:
            said = [(m.channel.name, m.content) for m in self.rest.messages.values() if m.author == self.bot]
            raise AssertionError(f"It did not happen. The bot said {said}; wrong: {self.wrong}") from None

    async def answered(self, channel: Channel, text: str, within: float = WITHIN) -> Message:
        """Wait until the bot's latest message in a channel says exactly this."""
        return await self.until(
            lambda: next((m for m in self.said(channel)[-1:] if m.content == text), None), within
        )


@asynccontextmanager
async def running_discord() -> AsyncIterator[Discord]:
    """A double that listens; at its end nothing may have gone wrong."""
    discord = Discord()
    folder = TemporaryDirectory()
    discord.cache = folder.name
    app = web.Application(middlewares=[discord.rest.guard], client_max_size=64 * 1024 * 1024)
    sockets = [web.get("/gateway/", discord.gateway.serve), web.get("/voice/", discord.voice.serve)]
    app.add_routes([*sockets, *discord.rest.routes()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    discord.base = discord.rest.cdn = f"http://127.0.0.1:{port}"
    discord.gateway.url = f"ws://127.0.0.1:{port}/gateway/"
    discord.voice.endpoint = f"127.0.0.1:{port}/voice"
    try:
        yield discord
    finally:
        await runner.cleanup()
        folder.cleanup()
    assert not discord.wrong, discord.wrong
