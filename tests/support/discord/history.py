"""The routes that read back: what was said in a channel, and which threads there are."""

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import web

from tests.support.discord.answers import answer, come_again, refusal
from tests.support.discord.limits import Limits
from tests.support.discord.world import (
    CATEGORY,
    FORUM,
    NEWS_THREAD,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    Channel,
    Guild,
    Message,
    Payload,
    User,
)

MESSAGES_AT_MOST, THREADS_AT_MOST = 100, 100


class History:
    """What was said. `asked` tells what came in: a channel's name, and the id after which it was read."""

    def __init__(
        self,
        bot: User,
        guilds: list[Guild],
        channels: dict[str, Channel],
        messages: dict[str, Message],
        limits: Limits,
        wrong: list[str],
        shown: Callable[[Message], Payload],
    ) -> None:
        self._bot = bot
        self._guilds = guilds
        self._channels = channels
        self._messages = messages
        self._limits = limits
        self._wrong = wrong
        self._shown = shown
        self.asked: list[tuple[str, str]] = []
        self.listed: list[str] = []
        """Paths by which threads were asked for."""
        self.looked_back: list[str] = []
        """Channels' names, each time that their last messages, or one, were asked for."""
        self.closed: set[str] = set()
        """Ids of channels that turn out to be closed to the bot, though nothing has said so."""
        self.gone: set[str] = set()
        """Ids of channels that were deleted just now."""
        self.failures: list[web.Response | None] = []
        """How the next requests for messages fail; None is one that does not."""
        self.flows = asyncio.Event()
        """Whether messages are handed out; otherwise who asks waits."""
        self.flows.set()
        self.held_after: int | None = None
        """Requests after which nothing flows any more."""

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        api = "/api/v10"
        return [
            web.get(f"{api}/channels/{{channel}}/messages", self._read),
            web.get(f"{api}/channels/{{channel}}/messages/{{message}}", self._one),
            web.get(f"{api}/guilds/{{guild}}", self._guild),
            web.get(f"{api}/guilds/{{guild}}/channels", self._all_channels),
            web.get(f"{api}/guilds/{{guild}}/threads/active", self._active),
            web.get(f"{api}/channels/{{channel}}/threads/archived/{{kind:public|private}}", self._archived),
        ]

    async def _guild(self, request: web.Request) -> web.Response:
        """Over HTTP, nothing is told of who and what is in it."""
        if (guild := self._of(request)) is None:
            return refusal(404, 10004, "Unknown Guild")
        there = ("threads", "voice_states", "channels", "members", "presences", "stage_instances")
        return answer({name: told for name, told in guild.payload.items() if name not in there})

    async def _all_channels(self, request: web.Request) -> web.Response:
        guild = self._of(request)
        return answer([channel.payload for channel in guild.channels] if guild else [])

    def _of(self, request: web.Request) -> Guild | None:
        return next((guild for guild in self._guilds if guild.id == request.match_info["guild"]), None)

    async def _one(self, request: web.Request) -> web.Response:
        channel = self._channels[request.match_info["channel"]]
        if closed := self._closed(channel):
            return closed
        self.looked_back.append(channel.name)
        message = self._messages.get(request.match_info["message"])
        if message is None or message.deleted or message.channel is not channel:
            return refusal(404, 10008, "Unknown Message")
        return answer(self._shown(message))

    def _back(self, request: web.Request, channel: Channel) -> web.Response:
        """The last messages before one, or those around one; the newest first."""
        if closed := self._closed(channel):
            return closed
        self.looked_back.append(channel.name)
        limit = int(request.query["limit"])
        there = [m for m in self._messages.values() if m.channel is channel and not m.deleted]
        newest_first = sorted(there, key=lambda m: int(m.id), reverse=True)
        if around := request.query.get("around"):
            later = [m for m in newest_first if int(m.id) >= int(around)][-limit // 2 :]
            found = later + [m for m in newest_first if int(m.id) < int(around)][: limit // 2]
        else:
            found = [m for m in newest_first if int(m.id) < int(request.query["before"])][:limit]
        return answer([self._shown(message) for message in found])

    async def _read(self, request: web.Request) -> web.Response:
        channel = self._channels[request.match_info["channel"]]
        if {"before", "around"} & set(request.query):
            return self._back(request, channel)
        wait, left = self._limits.take(f"history {channel.id}")
        if wait is not None:
            return come_again(wait, left)
        if self.failures and (failure := self.failures.pop(0)):
            return failure
        if len(self.asked) == self.held_after:
            self.flows.clear()
        await self.flows.wait()
        limit, after = int(request.query["limit"]), request.query.get("after", "0")
        if set(request.query) - {"limit", "after"} or not 1 <= limit <= MESSAGES_AT_MOST:
            self._wrong.append(f"history is asked for with {dict(request.query)}")
        if channel.type in (FORUM, CATEGORY):
            self._wrong.append(f"{channel.name} has no messages of its own")
        if closed := self._closed(channel):
            return closed
        self.asked.append((channel.name, after))
        there = [m for m in self._messages.values() if m.channel is channel and not m.deleted]
        news = sorted((m for m in there if int(m.id) > int(after)), key=lambda m: int(m.id))[:limit]
        return answer([self._shown(message) for message in reversed(news)], **left)

    def _closed(self, channel: Channel) -> web.Response | None:
        if channel.id in self.gone:
            return refusal(404, 10003, "Unknown Channel")
        closed_to = (channel.parent or channel).closed_to
        if channel.id in self.closed or self._bot.id in closed_to:
            return refusal(403, 50001, "Missing Access")
        return None

    async def _active(self, request: web.Request) -> web.Response:
        self.listed.append(request.path)
        guild = next(guild for guild in self._guilds if guild.id == request.match_info["guild"])
        threads = [t for t in guild.threads if not t.archived and not self._closed(t)]
        seen = [t for t in threads if t.type != PRIVATE_THREAD or self._bot in guild.admins]
        return answer({"threads": [thread.payload for thread in seen], "members": []})

    async def _archived(self, request: web.Request) -> web.Response:
        self.listed.append(request.path)
        channel, private = self._channels[request.match_info["channel"]], request.path.endswith("private")
        if closed := self._closed(channel):
            return closed
        assert channel.guild
        if private and self._bot not in channel.guild.admins:
            return refusal(403, 50013, "Missing Permissions")
        kinds = (PRIVATE_THREAD,) if private else (PUBLIC_THREAD, NEWS_THREAD)
        return answer(
            self._page(request, (t for t in channel.guild.threads if t.parent is channel and t.type in kinds))
        )

    def _page(self, request: web.Request, threads: Iterable[Channel]) -> Payload:
        limit = int(request.query["limit"])
        if set(request.query) - {"limit", "before"} or not 2 <= limit <= THREADS_AT_MOST:
            self._wrong.append(f"threads are asked for with {dict(request.query)}")
        listed = [thread.payload for thread in threads if thread.archived]
        before = request.query.get("before", "9999")
        older = [t for t in listed if t["thread_metadata"]["archive_timestamp"] < before]
        newest_first = sorted(older, key=lambda t: t["thread_metadata"]["archive_timestamp"], reverse=True)
        return {"threads": newest_first[:limit], "members": [], "has_more": len(newest_first) > limit}
