"""Slash commands, presses, forms and menus: what people do, and the routes by which it is answered."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from tests.support.discord.answers import answer, come_again, refusal
from tests.support.discord.gateway import Gateway
from tests.support.discord.strict import commands_wrong, form_wrong
from tests.support.discord.world import (
    PRIVATE,
    Attachment,
    Channel,
    Message,
    Payload,
    User,
    snowflake,
)

if TYPE_CHECKING:
    from tests.support.discord.rest import Rest

COMMAND, PRESS, FORM = 2, 3, 5
SAY, SAY_LATER, HEARD, CHANGE, ASK = 4, 5, 6, 7, 9
TAKES = {COMMAND: {SAY, SAY_LATER, ASK}, PRESS: {SAY, SAY_LATER, HEARD, CHANGE, ASK}, FORM: {SAY, SAY_LATER}}
WITHIN = 3.0  # seconds until Discord gives an interaction up
LARGEST_FILE = 10 * 1024 * 1024  # bytes


@dataclass
class Interaction:
    """Something that somebody did, and what came of it."""

    kind: int
    channel: Channel
    user: User
    on: Message | None = None
    heard: int | None = None
    """How it was acknowledged; None until then."""
    hidden: bool = False
    """Whether its first message is for whoever did it."""
    form: Payload | None = None
    """What is asked for."""
    shown: list[Message] = field(default_factory=list)
    """Messages that answer it, the first one first."""
    is_over: bool = False
    """Whether its 15 minutes are over, and its token is worth nothing."""
    id: str = field(default_factory=snowflake)
    token: str = field(default_factory=lambda: f"interaction-{snowflake()}")


class Interactions:
    """All of them. `listed` are the commands that the bot has told Discord of, `told` how often it did."""

    def __init__(self, rest: "Rest", bot: User, gateway: Gateway, wrong: list[str]) -> None:
        self._rest = rest
        self._bot = bot
        self._gateway = gateway
        self._wrong = wrong
        self.listed: list[Payload] = []
        self.told = 0
        self.all: list[Interaction] = []

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        api, hook = "/api/v10", "/api/v10/webhooks/{application}/{token}"
        return [
            web.get(f"{api}/applications/{{application}}/commands", self._list),
            web.put(f"{api}/applications/{{application}}/commands", self._register),
            web.post(f"{api}/interactions/{{id}}/{{token}}/callback", self._hear),
            web.post(hook, self._follow_up),
            web.get(f"{hook}/messages/{{message}}", self._read),
            web.patch(f"{hook}/messages/{{message}}", self._edit),
        ]

    # --- what people do --------------------------------------------------------------------------
    async def begin(
        self, kind: int, channel: Channel, user: User, data: Payload, on: Message | None = None
    ) -> Interaction:
        """Somebody does something, and the bot is told of it."""
        interaction = Interaction(kind, channel, user, on)
        self.all.append(interaction)
        await self._gateway.tell("INTERACTION_CREATE", self._event(interaction, data))
        asyncio.get_running_loop().call_later(WITHIN, self._give_up, interaction, data)
        return interaction

    def command(self, name: str, kind: int) -> Payload:
        """One that the bot has listed."""
        return next(one for one in self.listed if one["name"] == name and one.get("type", 1) == kind)

    def options(self, command: Payload, values: Mapping[str, object]) -> tuple[list[Payload], Payload]:
        """The options as Discord hands them over, and the files among them. Raises for what it has not."""
        known = {option["name"]: option for option in command["options"]}
        missing = [name for name, option in known.items() if option.get("required") and name not in values]
        assert not missing, f"/{command['name']} is not sent without {missing}"
        options, files = [], {}
        for name, value in values.items():
            option = known[name]
            choices = [choice["value"] for choice in option.get("choices", ())]
            assert not choices or value in choices, f"{name} is one of {choices}"
            if isinstance(value, Attachment):
                self._rest.files[value.path] = value
                files[value.id] = value.payload(self._rest.cdn)
                value = value.id
            options.append({"name": name, "type": option["type"], "value": value})
        return options, {"attachments": files}

    def _event(self, interaction: Interaction, data: Payload) -> Payload:
        channel, user = interaction.channel, interaction.user
        event: Payload = {
            "id": interaction.id, "application_id": self._bot.id, "type": interaction.kind, "data": data,
            "channel_id": channel.id, "token": interaction.token, "version": 1, "locale": "en-US",
            "app_permissions": "0", "entitlements": [], "authorizing_integration_owners": {},
            "context": 0 if channel.guild else 1, "attachment_size_limit": LARGEST_FILE,
        }  # fmt: skip
        if interaction.on:
            event["message"] = interaction.on.payload(self._rest.cdn, self._rest.people)
        if channel.guild:
            member = {"user": user.payload, **channel.guild.member(user)}
            permissions = str(channel.guild.permissions(user))
            event |= {"guild_id": channel.guild.id, "guild_locale": "en-US", "channel": channel.payload}
            return event | {"member": {**member, "permissions": permissions}}
        private = {"id": channel.id, "type": PRIVATE, "recipients": [user.payload], "flags": 0}
        return event | {"user": user.payload, "channel": {**private, "last_message_id": None}}

    def _give_up(self, interaction: Interaction, data: Payload) -> None:
        if interaction.heard is None:
            self._wrong.append(f"nothing was heard of within {WITHIN:.0f} s: {data}")

    # --- what the bot does -----------------------------------------------------------------------
    async def _list(self, _: web.Request) -> web.Response:
        return answer(self.listed)

    async def _register(self, request: web.Request) -> web.Response:
        commands: list[Payload] = await request.json()
        self.told += 1
        if why := commands_wrong(commands):
            self._wrong.append(why)
            return refusal(400, 50035, "Invalid Form Body")
        own = {"application_id": self._bot.id, "version": "1", "default_member_permissions": None}
        self.listed = [{"description": "", **own, "id": snowflake(), **command} for command in commands]
        return answer(self.listed)

    async def _hear(self, request: web.Request) -> web.Response:
        interaction = self._find(request)
        if interaction is None:
            return refusal(404, 10062, "Unknown interaction")
        if interaction.heard is not None:
            return refusal(400, 40060, "Interaction has already been acknowledged.")
        body, files = await self._rest.read(request)
        kind, data = body["type"], body.get("data") or {}
        if kind not in TAKES[interaction.kind] | ({HEARD, CHANGE} if interaction.on else set()):
            self._wrong.append(f"an interaction of kind {interaction.kind} cannot be answered by {kind}")
            return refusal(400, 50035, "Invalid Form Body")
        if kind == ASK and (why := form_wrong(data)):
            self._wrong.append(why)
            return refusal(400, 50035, "Invalid Form Body")
        if kind in (SAY, CHANGE) and (refused := self._rest.unfit(data, files)):
            return refused
        interaction.heard, interaction.form = kind, data if kind == ASK else None
        interaction.hidden = bool(data.get("flags", 0) & Message.HIDDEN)
        told: Payload = {"id": interaction.id, "type": interaction.kind}
        if kind == SAY:
            told["response_message_id"] = (await self._say(interaction, data, files)).id
        self._rest.changed()
        return answer({"interaction": told})

    async def _follow_up(self, request: web.Request) -> web.Response:
        interaction = self._find(request)
        if interaction is None or interaction.heard in (None, ASK):
            return refusal(404, 10015, "Unknown Webhook")
        wait, left = self._rest.limits.take(f"follow-up {interaction.token}")
        if wait is not None:
            return come_again(wait, left)
        body, files = await self._rest.read(request)
        if refused := self._rest.unfit(body, files):
            return refused
        message = await self._say(interaction, body, files)
        return answer(message.payload(self._rest.cdn, self._rest.people), **left)

    async def _say(self, interaction: Interaction, body: Payload, files: list[Attachment]) -> Message:
        """The first message after a promise is for those to see whom the promise was for."""
        first = interaction.heard in (SAY, SAY_LATER) and not interaction.shown
        hidden = interaction.hidden if first else bool(body.get("flags", 0) & Message.HIDDEN)
        message = Message(
            interaction.channel, self._bot, body.get("content") or "", files, interaction.on,
            webhook=self._bot.id, only_for=interaction.user if hidden else None,
            components=body.get("components") or [],
        )  # fmt: skip
        interaction.shown.append(message)
        await self._rest.post(message)
        return message

    async def _read(self, request: web.Request) -> web.Response:
        message = self._message(request)
        if message is None:
            return refusal(404, 10008, "Unknown Message")
        return answer(message.payload(self._rest.cdn, self._rest.people))

    async def _edit(self, request: web.Request) -> web.Response:
        if self._find(request) is None:
            return refusal(401, 50027, "Invalid Webhook Token")
        message = self._message(request)
        return await self._rest.change(request, message, f"follow-up {request.match_info['token']}")

    def _message(self, request: web.Request) -> Message | None:
        interaction, name = self._find(request), request.match_info["message"]
        if interaction is None:
            return None
        if name == "@original" and interaction.heard in (HEARD, CHANGE):
            return interaction.on
        shown = interaction.shown
        return next((m for m in shown if m.id == name or (name == "@original" and m is shown[0])), None)

    def _find(self, request: web.Request) -> Interaction | None:
        token = request.match_info["token"]
        return next((one for one in self.all if one.token == token and not one.is_over), None)
