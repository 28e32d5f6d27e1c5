"""Who asks for something on Discord, where, and by what: a message, a slash command, a press, a reaction."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import discord

from chorus.common.contracts.names import DIRECT

TAIL = 22  # bits of an id below its time

Person = discord.User | discord.Member
Where = discord.abc.Snowflake | None
"""A channel or a thread, as far as it is known."""


@dataclass(frozen=True)
class Origin:
    """Where a command comes from."""

    id: int
    """Discord's: the same for the same event, however often it arrives."""
    guild: str
    """Whose data and models it is about: the server's, or the person's own."""
    room: int
    """Id of the channel or thread where it was asked."""
    channel: str
    """Id of the channel whose settings count: of a thread that of its channel."""
    person: Person
    admin: bool
    """Whether the person manages the server; in direct messages everybody does."""
    via: Literal["message", "form"]
    message: discord.Message | None = None
    """What was said, or what was pressed on."""
    reply_to: str | None = None
    attachments: Sequence[discord.Attachment] = ()
    answered: Sequence[discord.Attachment] = ()
    """What is attached to the message that it replies to."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Ids of the person's roles, of the one that everybody has, too."""
        person = self.person
        return tuple(str(role.id) for role in person.roles) if isinstance(person, discord.Member) else ()


def of_message(message: discord.Message) -> Origin:
    """Where what somebody said comes from."""
    reference, guild = message.reference, message.guild.id if message.guild else None
    return Origin(
        id=message.id,
        guild=tenant(guild, message.author.id),
        room=message.channel.id,
        channel=_settled_in(message.channel.id, message.channel),
        person=message.author,
        admin=_runs(guild, _permissions(message.author)),
        via="message",
        message=message,
        reply_to=str(reference.message_id) if reference and reference.message_id else None,
        attachments=message.attachments,
        answered=_attached(reference.resolved if reference else None),
    )


def of_interaction(
    interaction: discord.Interaction[Any], attachments: Sequence[discord.Attachment] = ()
) -> Origin:
    """Where a slash command, a press or a form comes from. Discord says with it what the person may."""
    channel, on = interaction.channel, interaction.message
    room = channel.id if channel else 0
    return Origin(
        id=interaction.id,
        guild=tenant(interaction.guild_id, interaction.user.id),
        room=room,
        channel=_settled_in(room, channel),
        person=interaction.user,
        admin=_runs(interaction.guild_id, interaction.permissions),
        via="form",
        message=on,
        reply_to=str(on.id) if on else None,
        attachments=attachments,
    )


def of_reaction(reaction: discord.RawReactionActionEvent, person: Person, channel: Where) -> Origin:
    """Where a reaction comes from. It has no id of its own, and who takes theirs back may react again."""
    return Origin(
        id=discord.utils.time_snowflake(discord.utils.utcnow()) | random.getrandbits(TAIL),
        guild=tenant(reaction.guild_id, person.id),
        room=reaction.channel_id,
        channel=_settled_in(reaction.channel_id, channel),
        person=person,
        admin=_runs(reaction.guild_id, _permissions(person)),
        via="form",
        reply_to=str(reaction.message_id),
    )


def tenant(guild: int | None, person: int) -> str:
    """Whose data and models it is about: the server's, or, in direct messages, the person's own."""
    return f"{DIRECT}{person}" if guild is None else str(guild)


def _attached(message: object) -> Sequence[discord.Attachment]:
    """What is attached to a message that Discord may have shown us."""
    return message.attachments if isinstance(message, discord.Message) else ()


def _runs(guild: int | None, permissions: discord.Permissions) -> bool:
    """Whether the place is theirs: who manages the server, and everybody in their direct messages."""
    return guild is None or permissions.manage_guild


def _permissions(person: Person) -> discord.Permissions:
    """What a person may do in a server."""
    none = discord.Permissions.none()
    return person.guild_permissions if isinstance(person, discord.Member) else none


def _settled_in(room: int, channel: Where) -> str:
    """Id of the channel whose settings count: of a thread that of its channel."""
    return str(channel.parent_id if isinstance(channel, discord.Thread) else room)
