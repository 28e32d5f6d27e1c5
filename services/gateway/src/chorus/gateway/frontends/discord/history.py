"""Channels and what was said in them, asked of Discord page by page: it keeps its own pace for us.

What is listed: text, announcement, voice and stage channels, active threads, archived ones, and the posts
of forums, which are threads. Both the bot and whoever asks have to be allowed to read a channel: a command
must not show people what is hidden from them.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from typing import Literal

import discord

from chorus.common.errors import NotFound, NotPermitted, Unavailable, in_short
from chorus.gateway.commands.history import Attached, Author, Channel, Said
from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.messages import PEOPLE_WRITE
from chorus.gateway.frontends.discord.people import may_read

PAGE = 100  # messages; Discord gives no more at once

HIDDEN = "___hidden___"  # how Discord calls channels that a bot may not see
KINDS = {
    discord.ChannelType.text: "GuildTextChat",
    discord.ChannelType.news: "GuildNews",
    discord.ChannelType.voice: "GuildVoiceChat",
    discord.ChannelType.stage_voice: "GuildStageVoice",
    discord.ChannelType.forum: "GuildForum",
    discord.ChannelType.media: "GuildForum",
    discord.ChannelType.news_thread: "GuildNewsThread",
    discord.ChannelType.public_thread: "GuildPublicThread",
    discord.ChannelType.private_thread: "GuildPrivateThread",
}  # as DiscordChatExporter calls them
NO_CONTENT = (
    "Discord does not show this bot what people say. "
    "Switch on Message Content Intent at discord.com/developers, page Bot."
)

Parent = discord.TextChannel | discord.ForumChannel


class GuildHistory:
    """`history.History` of one server, as far as `asker` may read it."""

    def __init__(
        self,
        client: discord.Client,
        asker: discord.Member,
        *,
        me: discord.Member | None = None,
        channels: Sequence[discord.abc.GuildChannel] | None = None,
    ) -> None:
        """`me` and `channels` are what discord.py knows by itself of a server that it hears of."""
        self._client = client
        self._guild = asker.guild
        self._asker = asker
        self._me = me or asker.guild.me
        self._channels = asker.guild.channels if channels is None else channels

    async def channels(self) -> list[Channel]:
        """All channels in the order in which Discord shows them, each one's threads after it."""
        with told():
            await self._refuse_silence()
            active: defaultdict[int, list[discord.Thread]] = defaultdict(list)
            for thread in await self._guild.active_threads():
                active[thread.parent_id].append(thread)
        found: list[Channel] = []
        for channel in sorted(self._channels, key=lambda c: (c.position, c.id)):
            if channel.type not in KINDS:
                continue
            listed = self._listed(channel)
            found.append(listed)
            if isinstance(channel, Parent) and not listed.closed_to:
                found += await self._threads(channel, active[channel.id])
        return found

    async def _refuse_silence(self) -> None:
        """Without the intent all messages would come, and be empty."""
        flags = (await self._client.application_info()).flags
        if not (flags.gateway_message_content or flags.gateway_message_content_limited):
            raise NotPermitted(NO_CONTENT, code="no_message_content")

    def _listed(self, channel: discord.abc.GuildChannel) -> Channel:
        return Channel(
            id=channel.id,
            name="" if channel.name == HIDDEN else channel.name,
            kind=KINDS[channel.type],
            latest=getattr(channel, "last_message_id", None),
            closed_to=self._closed_to(channel),
            talks=not isinstance(channel, discord.ForumChannel),
        )

    def _closed_to(self, channel: discord.abc.GuildChannel) -> Literal["bot", "asker"] | None:
        if not may_read(channel, self._asker):
            return "asker"
        return None if channel.name != HIDDEN and may_read(channel, self._me) else "bot"

    async def _threads(self, parent: Parent, active: list[discord.Thread]) -> list[Channel]:
        """A channel's threads; private ones where both of us may manage them, as Discord asks for."""
        private = all(parent.permissions_for(member).manage_threads for member in (self._asker, self._me))
        threads = {thread.id: thread for thread in active if private or not thread.is_private()}
        try:
            with told():
                async for thread in parent.archived_threads(limit=None):
                    threads[thread.id] = thread
                if private and isinstance(parent, discord.TextChannel) and not parent.is_news():
                    async for thread in parent.archived_threads(private=True, limit=None):
                        threads[thread.id] = thread
        except (NotPermitted, NotFound):  # then those that are active will do
            pass
        return [_thread(thread, parent) for _, thread in sorted(threads.items())]

    async def read(self, channel: int, after: int) -> AsyncIterator[list[Said]]:
        """Pages of what was said there after a message, oldest first."""
        place = self._client.get_partial_messageable(channel, guild_id=self._guild.id)
        page: list[Said] = []
        with told():
            async for message in place.history(limit=None, after=discord.Object(after), oldest_first=True):
                page.append(_said(message))
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page


def _thread(thread: discord.Thread, parent: Parent) -> Channel:
    return Channel(
        id=thread.id,
        name=thread.name,
        kind=KINDS[thread.type],
        parent=parent.id,
        parent_name=parent.name,
        latest=thread.last_message_id,
    )


def _said(message: discord.Message) -> Said:
    author, reference = message.author, message.reference
    return Said(
        id=message.id,
        author=Author(str(author.id), author.name, author.display_name, author.bot),
        text=message.content,
        at=message.created_at,
        edited_at=message.edited_at,
        reply_to=reference.message_id if reference and message.type is discord.MessageType.reply else None,
        attachments=tuple(Attached(str(file.id), file.filename, file.size) for file in message.attachments),
        by_a_person=message.type in PEOPLE_WRITE and not message.webhook_id,
    )


@contextmanager
def told() -> Generator[None]:
    """What Discord refuses, in our words."""
    try:
        yield
    except discord.Forbidden:
        raise NotPermitted("Discord does not let this bot read here.", code="channel_closed") from None
    except discord.NotFound:
        raise NotFound("This channel is gone.", code="channel_gone") from None
    except FAILURES as error:
        raise Unavailable(
            f"Discord hands out no messages now ({in_short(reason(error))}). "
            "What was read is kept: mine again, and it goes on from there.",
            code="discord_unavailable",
        ) from None
