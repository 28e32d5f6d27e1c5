"""Where a reply goes: an answer to the message that asked, then more messages in its channel."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar

import discord
from discord.http import HTTPClient

from chorus.common.errors import NotPermitted
from chorus.gateway.commands.replies import Audio, Button, Reply
from chorus.gateway.frontends.discord.buttons import below
from chorus.gateway.frontends.discord.voice_message import post

TYPING_AFTER = 0.3  # seconds; most replies are there sooner, and it costs as much as one
TYPING_EVERY = 8.0  # seconds; Discord shows it for ten
EDITED_TOO_OFTEN = 30046  # Discord's code: a message older than an hour takes only so many edits
MAY_NOT_READ_HISTORY = 160002  # Discord's code: then nothing can be answered, only said
CLOSED = (
    "This is for nobody but you, and I may not send you direct messages. Allow them in this server's privacy "
    "settings (its name, then Privacy Settings, Direct Messages), and ask again."
)

T = TypeVar("T")

Buttons = tuple[Button, ...]


class Posted(Protocol):
    """A message of ours."""

    @property
    def id(self) -> str:
        """Discord's."""
        ...

    async def edit(self, text: str, buttons: Buttons = ()) -> None:
        """Have it say something else, above these buttons."""
        ...


class Place(Protocol):
    """Where messages of a reply go."""

    @property
    def largest_file(self) -> int:
        """Bytes of a file that may be attached here."""
        ...

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """Say something of at most 2000 characters, with buttons below it."""
        ...

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """Hand a file over, with at most 2000 characters above it."""
        ...

    async def speak(self, audio: Audio) -> None:
        """Say it as a voice message, which has no words and no buttons."""
        ...

    def aside(self) -> "Place | None":
        """Where whoever asked reads it alone; None if that is here."""
        ...


class Manner(Protocol):
    """How something is answered. It is entered while the reply is made, so that Discord shows that it is."""

    async def __aenter__(self) -> "Manner": ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    async def place_for(self, reply: Reply, /) -> Place | None:
        """Where this reply goes; None if it is not shown."""
        ...


class Sent:
    """`Posted` on Discord."""

    def __init__(self, message: discord.Message | discord.PartialMessage | discord.WebhookMessage) -> None:
        self._message = message

    @property
    def id(self) -> str:
        """That of the message that says it now."""
        return str(self._message.id)

    async def edit(self, text: str, buttons: Buttons = ()) -> None:
        """Edit it; one that is too old for that, or would have to wait for long, is said anew."""
        view = below(buttons)
        try:
            await self._message.edit(content=text, view=view or None)
        except (discord.RateLimited, discord.HTTPException) as error:
            if isinstance(error, discord.HTTPException) and error.code != EDITED_TOO_OFTEN:
                raise
            self._message = await self._message.channel.send(text, view=view, suppress_embeds=True)


class Beneath:
    """`Place` beneath a message. While it is entered and nothing has been said, it shows us typing."""

    def __init__(self, message: discord.Message, http: HTTPClient) -> None:
        self._asked = message
        self._channel = message.channel
        self._http = http
        self._said = False
        self._typing: asyncio.Task[None] | None = None

    @property
    def largest_file(self) -> int:
        """As the server's boosts have it; in private messages what everybody may."""
        guild = self._asked.guild
        return guild.filesize_limit if guild else discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES

    async def __aenter__(self) -> "Beneath":
        self._typing = asyncio.create_task(self._type())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_typing()

    async def place_for(self, _reply: Reply) -> "Place":
        """Here, whatever it is."""
        return self

    async def _type(self) -> None:
        await asyncio.sleep(TYPING_AFTER)
        with suppress(discord.DiscordException, OSError):  # to be seen typing is worth no word in the log
            while True:
                await self._channel.typing()
                await asyncio.sleep(TYPING_EVERY)

    async def _stop_typing(self) -> None:
        if self._typing:
            self._typing.cancel()
            await asyncio.wait([self._typing])

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """The first message answers the one that asked; further ones follow it."""
        return Sent(await self._send(text, below(buttons)))

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """The file, below the text if there is one."""
        await self._send(text or None, below(buttons), (name, data))

    async def speak(self, audio: Audio) -> None:
        """A voice message. Raises `HTTPException` where they are not allowed."""
        await self._reply(partial(post, self._http, self._channel.id, audio))

    def aside(self) -> "Place | None":
        """Their direct messages, unless this is one."""
        return InPrivate(self._asked.author) if self._asked.guild else None

    async def _send(
        self, text: str | None, view: discord.ui.View, attached: tuple[str, bytes] | None = None
    ) -> discord.Message:
        async def say(reference: discord.MessageReference | None) -> discord.Message:
            file = as_file(*attached) if attached else discord.utils.MISSING  # each try reads it to its end
            send = partial(self._channel.send, text, view=view, file=file, suppress_embeds=True)
            return await (send(reference=reference) if reference else send())

        return await self._reply(say)

    async def _reply(self, say: Callable[[discord.MessageReference | None], Awaitable[T]]) -> T:
        """Say it in reply to the message that asked, once and where that can be done."""
        await self._stop_typing()
        if self._said:
            return await say(None)
        self._said = True
        try:
            return await say(self._asked.to_reference(fail_if_not_exists=False))
        except discord.HTTPException as error:
            if error.code != MAY_NOT_READ_HISTORY:
                raise
        return await say(None)


class InPrivate:
    """`Place` in somebody's direct messages. Raises `NotPermitted` where those are closed to us.

    There is nothing to press there: a button's line would be about the person's own place, not the server.
    """

    largest_file = discord.utils.DEFAULT_FILE_SIZE_LIMIT_BYTES

    def __init__(self, person: discord.User | discord.Member) -> None:
        self._person = person

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:  # noqa: ARG002 - there are none here
        """A message to them."""
        return Sent(await self._send(text))

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:  # noqa: ARG002 - as above
        """The file, below the text if there is one."""
        await self._send(text or None, as_file(name, data))

    async def speak(self, audio: Audio) -> None:
        """A file: nothing is spoken aside."""
        await self.attach(audio.name, audio.data)

    def aside(self) -> None:
        """Nobody else reads here."""

    async def _send(self, text: str | None, file: discord.File = discord.utils.MISSING) -> discord.Message:
        try:
            return await self._person.send(text, file=file, suppress_embeds=True)
        except discord.Forbidden:
            raise NotPermitted(CLOSED, code="direct_messages_closed") from None


def as_file(name: str, data: bytes) -> discord.File:
    """To be attached. What of its name cannot be seen is no part of it: no header takes all of that."""
    shown = "".join(character for character in name if character.isprintable())
    return discord.File(io.BytesIO(data), filename=shown if shown.strip(".") else "file")
