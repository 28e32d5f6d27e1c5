"""The Gateway: one WebSocket for each client, and a session that outlives it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.support.discord.world import Guild, Payload, User, snowflake

DISPATCH, HEARTBEAT, IDENTIFY, VOICE_STATE, RESUME, INVALID, HELLO, ACK = 0, 1, 2, 4, 6, 9, 10, 11
MESSAGE_CONTENT, VOICE_STATES = 1 << 15, 1 << 7
REACTIONS = {True: 1 << 10, False: 1 << 13}  # in servers, in direct messages
UNKNOWN_TOKEN, INVALID_SHARD, DISALLOWED_INTENTS, BROKEN = 4004, 4010, 4014, 4000
HEARTBEAT_EVERY = 500  # milliseconds


@dataclass
class Session:
    """What a client has been told, so that it can be told again."""

    intents: int
    shard: int
    shards: int
    socket: web.WebSocketResponse
    frames: list[Payload] = field(default_factory=list)
    id: str = field(default_factory=snowflake)

    def hears(self, data: Payload) -> bool:
        """Whether an event is for this shard; those of no server are for the first one."""
        return (int(data.get("guild_id") or 0) >> 22) % self.shards == self.shard


class Gateway:
    """Tells clients what happens, and notes in `wrong` what Discord would not understand."""

    def __init__(self, token: str, bot: User, guilds: list[Guild], wrong: list[str]) -> None:
        self._token = token
        self._bot = bot
        self._guilds = guilds
        self._wrong = wrong
        self._sessions: dict[str, Session] = {}
        self.url = ""
        self.allows_messages = True
        """Whether the bot's page has the intent switched on that lets it read messages."""
        self.away = False
        """Whether nobody answers."""
        self.on_voice_state: Callable[[Guild, Payload], Awaitable[None]]
        """What becomes of a bot that wants to be in a voice channel, or in none."""
        self.identify_every = 0.0
        """Seconds that a lane of shards is closed after one has identified there: at Discord five."""
        self.shards = self.max_concurrency = 1
        """How many connections Discord wants of this bot, and how many of them may identify at once."""
        self.refuses_shards = False
        self.presences: list[str] = []
        """What was to stand below the bot's name, at each login."""
        self.logins: list[tuple[float, int]] = []
        """When which shard identified, in the loop's seconds."""
        self.identified = self.resumed = self.heartbeats = 0
        self.closed_with: list[int | None] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection, to its end."""
        if self.away:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": HEARTBEAT_EVERY}})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                await self._take(socket, frame["op"], frame.get("d"))
        self.closed_with.append(socket.close_code)
        return socket

    async def _take(self, socket: web.WebSocketResponse, code: int, data: Any) -> None:
        if code == HEARTBEAT:
            self.heartbeats += 1
            await socket.send_json({"op": ACK})
        elif code == IDENTIFY:
            await self._identify(socket, data)
        elif code == RESUME:
            await self._resume(socket, data)
        elif code == VOICE_STATE:
            guild = next(guild for guild in self._guilds if guild.id == str(data["guild_id"]))
            await self.on_voice_state(guild, data)
        else:
            self._wrong.append(f"gateway: opcode {code} is not known: {data}")

    async def _identify(self, socket: web.WebSocketResponse, data: Payload) -> None:
        if data["token"] != self._token:
            await socket.close(code=UNKNOWN_TOKEN)
        elif data["intents"] & MESSAGE_CONTENT and not self.allows_messages:
            await socket.close(code=DISALLOWED_INTENTS)
        elif self.refuses_shards or not 0 <= data["shard"][0] < data["shard"][1]:
            await socket.close(code=INVALID_SHARD)
        else:
            shard, shards = data["shard"]
            if presence := data.get("presence"):
                self.presences.append(presence["game"]["state"])
            self._note_login(shard)
            session = Session(data["intents"], shard, shards, socket)
            others = {name: one for name, one in self._sessions.items() if one.shard != shard}
            self._sessions = {**others, session.id: session}
            guilds = [guild for guild in self._guilds if session.hears({"guild_id": guild.id})]
            ready = {
                "v": 10,
                "user": self._bot.payload,
                "guilds": [{"id": guild.id, "unavailable": True} for guild in guilds],
                "shard": [shard, shards],
                "session_id": session.id,
                "resume_gateway_url": self.url,
                "application": {"id": self._bot.id, "flags": 1 << 19},
                "private_channels": [],
            }
            await self._tell_one(session, "READY", ready)
            for guild in guilds:
                await self._tell_one(session, "GUILD_CREATE", guild.payload)

    def _note_login(self, shard: int) -> None:
        """Too soon after another one in its lane is what costs a bot its token."""
        self.identified += 1
        now = asyncio.get_running_loop().time()
        lane = [at for at, other in self.logins if (other - shard) % self.max_concurrency == 0]
        if lane and now - lane[-1] < self.identify_every:
            self._wrong.append(f"gateway: shard {shard} identified {now - lane[-1]:.2f} s after another")
        self.logins.append((now, shard))

    async def _resume(self, socket: web.WebSocketResponse, data: Payload) -> None:
        session = self._sessions.get(data["session_id"])
        if session is None or data["token"] != self._token:
            await socket.send_json({"op": INVALID, "d": False})
            return
        self.resumed += 1
        session.socket = socket
        for frame in session.frames[data["seq"] :]:
            await socket.send_json(frame)
        await self._tell_one(session, "RESUMED", {})

    async def tell(self, what: str, data: Payload) -> None:
        """An event, for the shard that it is for, if it is there or comes back."""
        for session in [session for session in self._sessions.values() if session.hears(data)]:
            await self._tell_one(session, what, data)

    async def _tell_one(self, session: Session, what: str, data: Payload) -> None:
        if what.startswith("MESSAGE_REACTION_") and not session.intents & REACTIONS["guild_id" in data]:
            return
        if what == "VOICE_STATE_UPDATE" and not session.intents & VOICE_STATES:
            return
        seen = data if self._may_read(session, data) else {**data, "content": "", "attachments": []}
        frame = {"op": DISPATCH, "t": what, "s": len(session.frames) + 1, "d": seen}
        session.frames.append(frame)
        with suppress(ConnectionError):  # then it is told when it comes back
            await session.socket.send_json(frame)

    def _may_read(self, session: Session, data: Payload) -> bool:
        """Without the intent, a bot reads direct messages, its own, and those that mention it."""
        if "content" not in data or session.intents & MESSAGE_CONTENT:
            return True
        concerned = [data["author"]["id"], *(user["id"] for user in data["mentions"])]
        return "guild_id" not in data or self._bot.id in concerned

    async def cut(self) -> None:
        """Break all connections; the sessions stay."""
        for session in self._sessions.values():
            await session.socket.close(code=BROKEN)
