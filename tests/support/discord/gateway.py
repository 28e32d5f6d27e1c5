"""The Gateway: one WebSocket for each client, and a session that outlives it."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.support.discord.world import Guild, Payload, User, snowflake

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, INVALID, HELLO, ACK = 0, 1, 2, 6, 9, 10, 11
MESSAGE_CONTENT = 1 << 15
UNKNOWN_TOKEN, DISALLOWED_INTENTS, BROKEN = 4004, 4014, 4000
HEARTBEAT_EVERY = 500  # milliseconds


@dataclass
class Session:
    """What a client has been told, so that it can be told again."""

    intents: int
    socket: web.WebSocketResponse
    frames: list[Payload] = field(default_factory=list)
    id: str = field(default_factory=snowflake)


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
        else:
            self._wrong.append(f"gateway: opcode {code} is not known: {data}")

    async def _identify(self, socket: web.WebSocketResponse, data: Payload) -> None:
        if data["token"] != self._token:
            await socket.close(code=UNKNOWN_TOKEN)
        elif data["intents"] & MESSAGE_CONTENT and not self.allows_messages:
            await socket.close(code=DISALLOWED_INTENTS)
        else:
            self.identified += 1
            session = Session(data["intents"], socket)
            self._sessions = {session.id: session}
            ready = {
                "v": 10,
                "user": self._bot.payload,
                "guilds": [{"id": guild.id, "unavailable": True} for guild in self._guilds],
                "session_id": session.id,
                "resume_gateway_url": self.url,
                "application": {"id": self._bot.id, "flags": 1 << 19},
                "private_channels": [],
            }
            await self.tell("READY", ready)
            for guild in self._guilds:
                await self.tell("GUILD_CREATE", guild.payload)

    async def _resume(self, socket: web.WebSocketResponse, data: Payload) -> None:
        session = self._sessions.get(data["session_id"])
        if session is None or data["token"] != self._token:
            await socket.send_json({"op": INVALID, "d": False})
            return
        self.resumed += 1
        session.socket = socket
        for frame in session.frames[data["seq"] :]:
            await socket.send_json(frame)
        await self.tell("RESUMED", {})

    async def tell(self, what: str, data: Payload) -> None:
        """An event, for who is there and for who comes back."""
        for session in self._sessions.values():
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
