"""Voice: who is in which channel, and the bot's connections there: a WebSocket (version 8) and UDP each.

Sound is encrypted on its way (`aead_xchacha20_poly1305_rtpsize`), not from end to end: DAVE stays at version
0, for another member of its group would have to be played.
"""

import asyncio
import itertools
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import WSMsgType, web
from discord.http import HTTPClient
from nacl.exceptions import CryptoError
from nacl.secret import Aead

from tests.support.discord.gateway import Gateway
from tests.support.discord.world import CONNECT, Channel, Guild, Payload, User, snowflake

IDENTIFY, SELECT, READY, HEARTBEAT, DESCRIPTION, SPEAKING, ACK, HELLO = 0, 1, 2, 3, 4, 5, 6, 8
INVALID_SESSION, DISCONNECTED, NO_E2EE, UNKNOWN_MODE = 4006, 4014, 4017, 4016
MODE = "aead_xchacha20_poly1305_rtpsize"
RTP_HEADER, NONCE = 12, 4  # bytes
SAMPLES = 960  # of 20 ms
SILENCE = b"\xf8\xff\xfe"
_ssrc = itertools.count(1000)


@dataclass
class Line(asyncio.DatagramProtocol):
    """One connection of the bot to a voice channel, with all that was heard on it."""

    guild: Guild
    wrong: list[str]
    changed: Callable[[], None]
    token: str = field(default_factory=snowflake)
    session: str = field(default_factory=snowflake)
    ssrc: int = field(default_factory=_ssrc.__next__)
    key: bytes = field(default_factory=lambda: os.urandom(32))
    heard: list[tuple[float, bytes]] = field(default_factory=list)
    """When each packet of Opus came, in the loop's seconds; silence is left out."""
    speaking: int | None = None
    socket: web.WebSocketResponse | None = None
    _udp: asyncio.DatagramTransport | None = None
    _last: tuple[int, int] | None = None

    @property
    def sound(self) -> list[bytes]:
        """What was said."""
        return [opus for _, opus in self.heard]

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._udp = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # type: ignore[override]
        """The question where it comes from, which is answered; or sound."""
        if len(data) == 74 and data[:4] == struct.pack(">HH", 1, 70):
            assert self._udp
            told = struct.pack(">HHI64sH", 2, 70, self.ssrc, addr[0].encode(), addr[1])
            self._udp.sendto(told, addr)
        elif why := self._take(data):
            self.wrong.append(f"voice: {why}")

    def _take(self, data: bytes) -> str | None:
        """A packet of sound; returns what is wrong with it."""
        version, kind, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", data)
        if (version, kind, ssrc) != (0x80, 0x78, self.ssrc):
            return f"no RTP of this connection: {data[:RTP_HEADER]!r}"
        if self.speaking is None:
            return "sound before anything was said of speaking"
        if self._last and ((sequence - self._last[0]) % 2**16, (timestamp - self._last[1]) % 2**32) != (
            1, SAMPLES,
        ):  # fmt: skip
            return f"packet {sequence} at {timestamp} comes after {self._last}"
        self._last = sequence, timestamp
        nonce = data[-NONCE:] + bytes(Aead.NONCE_SIZE - NONCE)
        try:
            opus = Aead(self.key).decrypt(data[RTP_HEADER:-NONCE], data[:RTP_HEADER], nonce)
        except CryptoError:
            return "a packet is not encrypted with the connection's key"
        if opus != SILENCE:
            self.heard.append((asyncio.get_running_loop().time(), opus))
            self.changed()
        return None


class Voice:
    """The bot's `lines`, one after the other, and what people do in voice channels."""

    def __init__(self, bot: User, gateway: Gateway, wrong: list[str], changed: Callable[[], None]) -> None:
        self._bot = bot
        self._gateway = gateway
        self._wrong = wrong
        self._changed = changed
        self.endpoint = ""
        self.lines: list[Line] = []
        self.away = False
        """Whether nobody answers a bot that wants to come."""
        gateway.on_voice_state = self._wanted

    def line(self, guild: Guild) -> Line:
        """The latest connection in a server."""
        return [line for line in self.lines if line.guild is guild][-1]

    # --- who is where ----------------------------------------------------------------------------
    async def enter(self, channel: Channel, user: User) -> None:
        """Somebody comes into a voice channel, or is moved there."""
        assert channel.guild
        await self._show(channel.guild, user, channel)

    async def exit(self, guild: Guild, user: User) -> None:
        """Somebody goes, or is thrown out."""
        await self._show(guild, user, None)
        if user == self._bot and (socket := self.line(guild).socket):
            await socket.close(code=DISCONNECTED)

    def there(self, guild: Guild, user: User) -> str | None:
        """Id of the channel where somebody is shown."""
        state = guild.voices.get(user.id)
        return state["channel_id"] if state else None

    async def _show(self, guild: Guild, user: User, channel: Channel | None, deaf: bool = False) -> None:
        was = guild.voices.pop(user.id, None)
        line = Line(guild, self._wrong, self._changed) if user == self._bot and channel else None
        state = {
            "channel_id": channel.id if channel else None, "user_id": user.id,
            "session_id": line.session if line else snowflake(), "deaf": False, "mute": False,
            "self_deaf": deaf, "self_mute": False, "self_video": False, "suppress": False,
            "request_to_speak_timestamp": None,
        }  # fmt: skip
        if channel:
            guild.voices[user.id] = state
        self._changed()
        told = {**state, "guild_id": guild.id, "member": {"user": user.payload, **guild.member(user)}}
        await self._gateway.tell("VOICE_STATE_UPDATE", told)
        if line:
            if was and self.lines and (old := self.line(guild).socket):
                await old.close(code=DISCONNECTED)
            self.lines.append(line)
            server = {"token": line.token, "guild_id": guild.id, "endpoint": self.endpoint}
            await self._gateway.tell("VOICE_SERVER_UPDATE", server)

    async def _wanted(self, guild: Guild, data: Payload) -> None:
        """The bot wants to be in a channel, or in none."""
        wanted = data["channel_id"] and str(data["channel_id"])
        channel = next((one for one in guild.channels if one.id == wanted), None)
        if channel:
            others = [state for state in guild.voices.values() if state["channel_id"] == channel.id]
            closed = self._bot.id in channel.closed_to or not guild.permissions(self._bot) & CONNECT
            if closed or 0 < channel.user_limit <= len(others):
                self._wrong.append(f"voice: the bot came to {channel.name}, which is closed or full")
                return
            if not data["self_deaf"]:
                self._wrong.append("voice: the bot hears what people say")
        if not (self.away and channel):
            await self._show(guild, self._bot, channel, deaf=bool(channel))

    # --- the bot's connections -------------------------------------------------------------------
    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One connection, to its end."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if request.query.get("v") != "8":
            self._wrong.append(f"voice: version {request.query.get('v')} is not known")
        await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 5000, "v": 8}})
        line = await self._identified(socket)
        if line is None:
            return socket
        udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: line, local_addr=("127.0.0.1", 0)
        )
        try:
            ip, port = udp.get_extra_info("sockname")
            ready = {"ssrc": line.ssrc, "ip": ip, "port": port, "modes": [MODE]}
            await socket.send_json({"op": READY, "seq": 1, "d": ready})
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    frame = json.loads(message.data)
                    await self._take(line, socket, frame["op"], frame["d"])
        finally:
            udp.close()
            line.socket = None
            self._changed()
        return socket

    async def _identified(self, socket: web.WebSocketResponse) -> Line | None:
        """Whose connection it is. Who cannot encrypt from end to end is not let in."""
        frame = await socket.receive_json()
        data = frame["d"]
        if frame["op"] != IDENTIFY:
            self._wrong.append(f"voice: a connection begins with {frame}")
        line = next((line for line in self.lines if line.token == data["token"]), None)
        said = (data["server_id"], data["user_id"], data["session_id"])
        if line is None or said != (line.guild.id, self._bot.id, line.session):
            self._wrong.append(f"voice: nobody was asked to come so: {data}")
            await socket.close(code=INVALID_SESSION)
            return None
        if data["max_dave_protocol_version"] < 1:
            self._wrong.append("voice: the bot cannot encrypt from end to end")
            await socket.close(code=NO_E2EE)
            return None
        line.socket = socket
        return line

    async def _take(self, line: Line, socket: web.WebSocketResponse, code: int, data: Payload) -> None:
        if code == SELECT:
            if (data["protocol"], data["data"]["mode"]) != ("udp", MODE):
                self._wrong.append(f"voice: no way to speak: {data}")
                await socket.close(code=UNKNOWN_MODE)
                return
            told = {"mode": MODE, "secret_key": list(line.key), "dave_protocol_version": 0}
            await socket.send_json({"op": DESCRIPTION, "seq": 2, "d": told})
        elif code == HEARTBEAT:
            await socket.send_json({"op": ACK, "d": {"t": data["t"]}})
        elif code == SPEAKING:
            if data["ssrc"] != line.ssrc:
                self._wrong.append(f"voice: speaks as another one: {data}")
            line.speaking = data["speaking"]
            self._changed()
        else:
            self._wrong.append(f"voice: opcode {code} is not known: {data}")


def without_tls(patch: pytest.MonkeyPatch) -> None:
    """Let discord.py speak to the double's voice server as it is: discord.py knows voice with TLS alone."""
    connect = HTTPClient.ws_connect

    def plainly(http: HTTPClient, url: str, **options: int) -> object:
        return connect(http, url.replace("wss://127.0.0.1", "ws://127.0.0.1"), **options)

    patch.setattr(HTTPClient, "ws_connect", plainly)
