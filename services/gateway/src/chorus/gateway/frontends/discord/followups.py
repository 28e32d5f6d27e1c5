"""Where replies to slash commands, presses and forms go.

Discord wants to hear of each within three seconds, and then whether all may read the reply or only who
asked. So it is told as soon as the reply is there, which is at once as a rule, or else in time.
"""

import asyncio
from typing import Any

import discord

from chorus.gateway.commands.replies import Audio, Card, File, Problem, Progress, Reply, Stream, Text
from chorus.gateway.frontends.discord.buttons import below
from chorus.gateway.frontends.discord.place import Beneath, Buttons, Place, Posted, Sent, as_file
from chorus.gateway.frontends.discord.voice_message import follow_up

SOON = 1.5  # seconds to wait for a reply before Discord is told that it will come
FORGOTTEN = (10015, 50027)  # Discord's codes: unknown webhook, invalid webhook token
FOR_YOU = "-# Only you can see what came of it."


class FollowUp:
    """`Place` after an interaction that was acknowledged: the first message answers it, others follow."""

    def __init__(self, interaction: discord.Interaction[Any], *, hidden: bool) -> None:
        self._interaction = interaction
        self._hidden = hidden

    @property
    def largest_file(self) -> int:
        """As Discord says it with the interaction."""
        return self._interaction.filesize_limit

    async def send(self, text: str, buttons: Buttons = ()) -> Posted:
        """A message; one that all may read can be edited as long as it is there."""
        sent = await self._send(text, buttons)
        room = self._interaction.channel_id
        if self._hidden or room is None:
            return Sent(sent)
        messages = self._interaction.client.get_partial_messageable(room)
        return Outliving(Sent(sent), Sent(messages.get_partial_message(sent.id)))

    async def attach(self, name: str, data: bytes, text: str = "", buttons: Buttons = ()) -> None:
        """The file, below the text if there is one."""
        await self._send(text, buttons, as_file(name, data))

    async def speak(self, audio: Audio) -> None:
        """A voice message. Raises `HTTPException` where they are not allowed."""
        await follow_up(self._interaction.followup, audio, hidden=self._hidden)

    def aside(self) -> None:
        """What is for one is hidden from the others already."""

    async def _send(
        self, text: str, buttons: Buttons, file: discord.File = discord.utils.MISSING
    ) -> discord.WebhookMessage:
        return await self._interaction.followup.send(
            text or discord.utils.MISSING,
            file=file,
            view=below(buttons),
            ephemeral=self._hidden,
            suppress_embeds=True,
            wait=True,
        )


class Outliving:
    """`Posted`: an answer to an interaction, which Discord forgets after 15 minutes.

    Until then it is edited as such: that can be done in channels that we may not look into.
    """

    def __init__(self, answer: Sent, message: Sent) -> None:
        self._answer: Sent | None = answer
        self._message = message

    @property
    def id(self) -> str:
        """Of the message that says it now."""
        return (self._answer or self._message).id

    async def edit(self, text: str, buttons: Buttons = ()) -> None:
        """Edit it, once it is forgotten as any message of ours."""
        try:
            await (self._answer or self._message).edit(text, buttons)
        except discord.HTTPException as error:
            if self._answer is None or error.code not in FORGOTTEN:
                raise
            self._answer = None
            await self._message.edit(text, buttons)


class AfterSlash:
    """How a slash command is answered: for all to see, unless the reply is for one."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> "AfterSlash":
        self._late = asyncio.create_task(self._acknowledge_in_time())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._late.cancel()
        await asyncio.gather(self._late, return_exceptions=True)  # what it met, `place_for` meets, too

    async def _acknowledge_in_time(self) -> None:
        await asyncio.sleep(SOON)
        await self._acknowledge(hidden=False)

    async def _acknowledge(self, *, hidden: bool) -> bool:
        """Tell Discord that a reply comes. Returns whether this is what it was told."""
        async with self._one_at_a_time:
            if self._interaction.response.is_done():
                return not hidden
            await self._interaction.response.defer(ephemeral=hidden, thinking=True)
            return True

    async def place_for(self, reply: Reply) -> Place:
        """Where this reply goes."""
        hidden = _is_for_one(reply)
        if not await self._acknowledge(hidden=hidden):  # the first message is for all to see
            await FollowUp(self._interaction, hidden=False).send(FOR_YOU)
        return FollowUp(self._interaction, hidden=hidden)


class AfterPress:
    """How a press or a form is answered: for who did it; but an answer and a job are for all."""

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction

    async def __aenter__(self) -> "AfterPress":
        """Tell Discord that it was heard: below a message without a word, elsewhere a reply is to come."""
        nothing_below = self._interaction.message is None
        await self._interaction.response.defer(ephemeral=True, thinking=nothing_below)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left to do."""

    async def place_for(self, reply: Reply) -> Place:
        """Where this reply goes."""
        message = self._interaction.message
        if message and isinstance(reply, Text) and reply.settles:
            await self._interaction.edit_original_response(view=None)  # of the message, whoever sees it
        if message and isinstance(reply, Stream | Progress):
            return Beneath(message, self._interaction.client.http)
        return FollowUp(self._interaction, hidden=True)


class Unanswered:
    """How a reaction is answered: not at all."""

    async def __aenter__(self) -> "Unanswered":
        """Nobody looks."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is left to do."""

    async def place_for(self, _reply: Reply) -> None:
        """Nowhere."""


def _is_for_one(reply: Reply) -> bool:
    return isinstance(reply, Problem) or (isinstance(reply, Card | File) and reply.private)
