"""Our front-end in a server of the double. Chorus behind it is played."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Delta, End, Usage
from chorus.gateway.commands.ports import Question
from chorus.gateway.frontends.discord import client
from chorus.gateway.frontends.discord.frontend import Discord as FrontEnd
from chorus.gateway.settings import GatewaySettings
from tests.support.discord.double import Discord
from tests.support.discord.world import Message, User
from tests.unit.gateway.fakes import World


class Told:
    """Answers that a test tells word by word."""

    def __init__(self) -> None:
        self.words: asyncio.Queue[str | None] = asyncio.Queue()
        self.asked: list[tuple[str, str | None, list[Turn]]] = []
        self.left = 0

    async def ask(self, guild: str, question: Question) -> AsyncIterator[Delta | End]:
        self.asked.append((guild, question.model, question.messages))
        try:
            for i in itertools.count():
                word = await self.words.get()
                if word is None:
                    break
                yield Delta(i=i, text=word)
            usage = Usage(prompt_tokens=1, completion_tokens=1)
            yield End(model="base", finish_reason="stop", usage=usage)
        finally:
            self.left += 1

    def tell(self, *words: str | None) -> None:
        for word in words:
            self.words.put_nowait(word)


class Place:
    """A server with the bot in it, Chorus played behind it."""

    def __init__(self, discord: Discord) -> None:
        self.discord = discord
        self.world = World()
        self.told = self.world.answers = Told()  # type: ignore[assignment]
        self.guild, self.channel, self.admin = discord.guild()
        self.member = discord.person("member")
        self.announced: list[str] = []

    def settings(self, **others: object) -> GatewaySettings:
        return GatewaySettings.model_validate({**self.discord.settings(), "grace": 1.0, **others})

    @asynccontextmanager
    async def present(self, **others: object) -> AsyncIterator[FrontEnd]:
        """The bot, logged in; on leaving it has left."""
        settings = self.settings(**others)
        assert settings.discord_token is not None
        with pytest.MonkeyPatch.context() as patch:  # the double shows all servers at once
            patch.setattr(client, "GUILDS_WITHIN", 0.1)
            front = FrontEnd(self.world.chorus, settings, self.announced.append)
        task = asyncio.create_task(front.stay(settings.discord_token.get_secret_value()))
        try:
            await self.discord.until(lambda: front.trouble() is None or task.done())
            yield front
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def ask(self, content: str, author: User | None = None, **more: object) -> Message:
        return await self.discord.say(self.channel, author or self.member, content, **more)  # type: ignore[arg-type]

    def mention(self, question: str) -> str:
        return f"<@{self.discord.bot.id}> {question}"
