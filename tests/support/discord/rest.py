"""The HTTP routes that a thin bot uses. Whatever else is asked for is noted in `wrong`."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from tests.support.discord.answers import answer, come_again, refusal
from tests.support.discord.gateway import Gateway
from tests.support.discord.history import History
from tests.support.discord.interactions import Interactions
from tests.support.discord.limits import EDITED_TOO_OFTEN, Limits
from tests.support.discord.strict import components_wrong, voice_message_wrong
from tests.support.discord.world import (
    PRIVATE,
    Attachment,
    Channel,
    Guild,
    Message,
    Payload,
    User,
    now,
    time_of,
)

LONGEST = 2000  # characters
CONTENT = 1 << 19  # flag of an application that may read what is said
OWN_TOKEN = re.compile(r"/api/v10/(interactions|webhooks)/")
FILE_PART = re.compile(r"files\[\d+\]")
ABOUT = ("duration_secs", "waveform")


class Rest:
    """The routes. `changed` is called whenever something was said, edited or begun."""

    def __init__(
        self, token: str, bot: User, guilds: list[Guild], gateway: Gateway, wrong: list[str],
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._token = token
        self._bot = bot
        self._guilds = guilds
        self._gateway = gateway
        self._wrong = wrong
        self.changed = changed
        self.cdn = ""
        self.people: dict[str, User] = {bot.id: bot}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, Message] = {}
        self.nonces: dict[str, Message] = {}
        """What was said with each; Discord forgets them after some minutes."""
        self.files: dict[str, Attachment] = {}
        self.limits = Limits()
        self.typed: list[tuple[float, str]] = []
        self.silenced: set[str] = set()
        """Ids of channels where the bot may not write."""
        self.private: dict[str, Channel] = {}
        """Direct messages that the bot has begun, by the person's id."""
        self.unwelcome: set[str] = set()
        """Ids of people who take no direct messages from the bot."""
        self.takes_voice_messages = True
        self.cannot_read_history = False
        self.logins_left = 1000
        """How often the bot may log in today."""
        self.turned_away = False
        """Whether connections break before a word is answered."""
        self.reads_content = True
        """Whether the bot's page has the intent switched on by which messages have their words."""
        self.history = History(
            bot, guilds, self.channels, self.messages, self.limits, wrong, self._shown_to_the_bot
        )
        self.interactions = Interactions(self, bot, gateway, wrong)

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/v10/users/@me", self._me),
            web.get("/api/v10/oauth2/applications/@me", self._application),
            web.get("/api/v10/gateway/bot", self._shards),
            web.post("/api/v10/channels/{channel}/messages", self._send),
            web.patch("/api/v10/channels/{channel}/messages/{message}", self._edit),
            web.post("/api/v10/channels/{channel}/typing", self._type),
            web.post("/api/v10/users/@me/channels", self._open_private),
            web.get("/api/v10/users/{user}", self._user),
            web.get("/api/v10/guilds/{guild}/members/{user}", self._member),
            web.get("/api/v10/channels/{channel}", self._channel),
            web.get("/api/v10/channels/{channel}/thread-members/{user}", self._in_thread),
            web.get("/attachments/{id}/{name}", self._file),
            *self.history.routes(),
            *self.interactions.routes(),
            web.route("*", "/{path:.*}", self._unknown),
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        """The API asks for the bot's token; nothing else may ever see it. Interactions have their own."""
        if self.turned_away and request.transport:
            request.transport.close()
        given = request.headers.get("Authorization")
        if request.path.startswith("/api/") and not OWN_TOKEN.match(request.path):
            if given != f"Bot {self._token}":
                return refusal(401, 0, "401: Unauthorized")
            if (wait := self.limits.take_any()) is not None:
                return come_again(wait, {}, everywhere=True)
        elif given is not None:
            self._wrong.append(f"{request.path}: the token was sent to who need not have it")
        return await handler(request)  # type: ignore[misc]

    async def _unknown(self, request: web.Request) -> web.Response:
        self._wrong.append(f"{request.method} {request.path} is not known")
        return refusal(404, 0, "404: Not Found")

    async def _me(self, _: web.Request) -> web.Response:
        return answer(self._bot.payload)

    async def _user(self, request: web.Request) -> web.Response:
        user = self.people.get(request.match_info["user"])
        return answer(user.payload) if user else refusal(404, 10013, "Unknown User")

    async def _member(self, request: web.Request) -> web.Response:
        user = self.people.get(request.match_info["user"])
        guild = next(guild for guild in self._guilds if guild.id == request.match_info["guild"])
        if user is None:
            return refusal(404, 10007, "Unknown Member")
        return answer({"user": user.payload, **guild.member(user)})

    async def _channel(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return refusal(404, 10003, "Unknown Channel")
        return answer(channel.payload | ({"guild_id": channel.guild.id} if channel.guild else {}))

    async def _in_thread(self, request: web.Request) -> web.Response:
        thread, user = (request.match_info[name] for name in ("channel", "user"))
        if user not in self.channels[thread].members:
            return refusal(404, 10007, "Unknown Member")
        return answer({"id": thread, "user_id": user, "join_timestamp": now(), "flags": 0})

    async def _application(self, _: web.Request) -> web.Response:
        return answer(
            {
                "id": self._bot.id, "name": "chorus", "description": "", "icon": None, "summary": "",
                "bot_public": True, "bot_require_code_grant": False, "verify_key": "",
                "flags": CONTENT if self.reads_content else 0,
                "owner": self._bot.payload, "team": None,
            }
        )  # fmt: skip

    async def _shards(self, _: web.Request) -> web.Response:
        limit = {
            "total": 1000, "remaining": self.logins_left, "reset_after": 7_200_000,
            "max_concurrency": self._gateway.max_concurrency,
        }  # fmt: skip
        return answer({"url": "ws://nowhere", "shards": self._gateway.shards, "session_start_limit": limit})

    def _shown_to_the_bot(self, message: Message) -> Payload:
        told = message.payload(self.cdn, self.people)
        return told if self.reads_content else {**told, "content": "", "attachments": []}

    async def _open_private(self, request: web.Request) -> web.Response:
        person = self.people[str((await request.json())["recipient_id"])]
        channel = self.private.setdefault(person.id, Channel(None))
        self.channels[channel.id] = channel
        return answer(
            {
                "id": channel.id, "type": PRIVATE, "recipients": [person.payload],
                "last_message_id": channel.latest, "flags": 0,
            }
        )  # fmt: skip

    async def _send(self, request: web.Request) -> web.Response:
        channel = self.channels[request.match_info["channel"]]
        wait, left = self.limits.take(f"send {channel.id}")
        if wait is not None:
            return come_again(wait, left)
        body, files = await self.read(request)
        if wrong := self._closed(channel) or self.unfit(body, files):
            return wrong
        if body.get("enforce_nonce") and (said := self.nonces.get(str(body["nonce"]))):
            return answer(said.payload(self.cdn, self.people), **left)
        reference = body.get("message_reference")
        if reference and self.cannot_read_history:
            return refusal(400, 160002, "You cannot reply without permission to read message history")
        reply_to = self.messages.get(str(reference["message_id"])) if reference else None
        components = body.get("components") or []
        message = Message(
            channel, self._bot, body.get("content") or "", files, reply_to, components=components
        )
        self.nonces[str(body.get("nonce"))] = message
        await self.post(message)
        return answer(message.payload(self.cdn, self.people), **left)

    async def post(self, message: Message) -> None:
        """The bot says something; what is for one person's eyes is told to nobody else, and kept nowhere."""
        message.versions.append((asyncio.get_running_loop().time(), message.content))
        if message.only_for is None:
            self.messages[message.id] = message
            message.channel.latest = message.id
            await self._gateway.tell("MESSAGE_CREATE", message.event(self.cdn, self.people))
        self.changed()

    async def _edit(self, request: web.Request) -> web.Response:
        message = self.messages.get(request.match_info["message"])
        if message and (closed := self._closed(message.channel)):
            return closed
        return await self.change(request, message, f"edit {message.channel.id}" if message else "")

    async def change(self, request: web.Request, message: Message | None, bucket: str) -> web.Response:
        """The bot edits a message of its own."""
        if message is None or message.deleted:
            return refusal(404, 10008, "Unknown Message")
        wait, left = self.limits.take(bucket)
        if wait is not None:
            return come_again(wait, left)
        wait = self.limits.take_edit(message.id, datetime.fromisoformat(time_of(message.id)))
        if wait is not None:
            return come_again(wait, left, code=EDITED_TOO_OFTEN)
        body, files = await self.read(request)
        if "content" not in body:  # the words stay, and ping nobody again
            body |= {"content": message.content, "allowed_mentions": {"parse": []}}
        if wrong := self.unfit(body, files):
            return wrong
        if message.author != self._bot:
            return refusal(403, 50005, "Cannot edit a message authored by another user")
        message.content = body["content"]
        message.components = body.get("components", message.components)
        message.versions.append((asyncio.get_running_loop().time(), message.content))
        self.changed()
        if message.only_for is None:
            await self._gateway.tell("MESSAGE_UPDATE", message.event(self.cdn, self.people))
        return answer(message.payload(self.cdn, self.people), **left)

    async def _type(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        if channel in self.silenced:
            return refusal(403, 50013, "Missing Permissions")
        self.typed.append((asyncio.get_running_loop().time(), channel))
        self.changed()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _file(self, request: web.Request) -> web.Response:
        file = self.files.get(request.path)
        return web.Response(body=file.data) if file else web.Response(status=HTTPStatus.NOT_FOUND)

    def _closed(self, channel: Channel) -> web.Response | None:
        """Where the bot may not write, which is not its fault."""
        if channel.id in self.silenced:
            return refusal(403, 50013, "Missing Permissions")
        if any(self.private.get(person) is channel for person in self.unwelcome):
            return refusal(403, 50007, "Cannot send messages to this user")
        return None

    def unfit(self, body: Payload, files: list[Attachment]) -> web.Response | None:
        """What Discord would not take of a message."""
        content = body.get("content") or ""
        pinged = body.get("allowed_mentions", {"parse": ["everyone"]})
        if pinged.get("parse") or pinged.get("replied_user") or pinged.get("users") or pinged.get("roles"):
            self._wrong.append(f"{content!r} may ping people: {pinged}")
        if len(content) > LONGEST:
            self._wrong.append(f"a message has {len(content)} characters")
            return refusal(400, 50035, "Invalid Form Body")
        if why := components_wrong(body.get("components") or []):
            self._wrong.append(why)
            return refusal(400, 50035, "Invalid Form Body")
        if body.get("flags", 0) & Message.VOICE:
            if not self.takes_voice_messages:
                return refusal(403, 50173, "Cannot send voice messages in this channel.")
            if why := voice_message_wrong(body, files):
                self._wrong.append(why)
                return refusal(400, 50160, "Voice messages do not support additional content.")
        elif any(file.about for file in files):
            self._wrong.append("a file has a waveform, and the message no flag")
        if not content.strip() and not files:
            self._wrong.append("a message is empty")
            return refusal(400, 50006, "Cannot send an empty message")
        return None

    async def read(self, request: web.Request) -> tuple[Payload, list[Attachment]]:
        """The body of a request, and the files that came with it."""
        if not request.content_type.startswith("multipart/"):
            return await request.json(), []
        body: Payload = {}
        files: list[Attachment] = []
        async for part in await request.multipart():
            assert part.name is not None
            if part.name == "payload_json":
                body = json.loads(await part.text())
            elif FILE_PART.fullmatch(part.name):
                told = body.get("attachments", [])[len(files) :] or [{}]
                about = {name: told[0][name] for name in ABOUT if name in told[0]}
                kind, data = part.headers["Content-Type"], bytes(await part.read())
                files.append(Attachment(part.filename or "", data, about=about, content_type=kind))
            else:
                self._wrong.append(f"a form has a part {part.name!r}")
        return body, files
