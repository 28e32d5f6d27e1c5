"""Who asks for something on Discord, where, and by what: a message, a slash command, a press, a reaction."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import discord

from chorus.gateway.frontends.discord.messages import channel_of, runs_this_place, tenant

TAIL = 22  # bits of an id below its time

Person = discord.User | discord.Member


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

    @property
    def roles(self) -> tuple[str, ...]:
        """Ids of the person's roles, of the one that everybody has, too."""
        person = self.person
        return tuple(str(role.id) for role in person.roles) if isinstance(person, discord.Member) else ()


def of_message(message: discord.Message) -> Origin:
    """Where what somebody said comes from."""
    reference = message.reference
    return Origin(
        id=message.id,
        guild=tenant(message),
        room=message.channel.id,
        channel=channel_of(message),
        person=message.author,
        admin=runs_this_place(message),
        via="message",
        message=message,
        reply_to=str(reference.message_id) if reference and reference.message_id else None,
        attachments=message.attachments,
    )


def of_interaction(
    interaction: discord.Interaction[Any], attachments: Sequence[discord.Attachment] = ()
) -> Origin:
    """Where a slash command, a press or a form comes from. Discord says with it what the person may."""
    channel, on = interaction.channel, interaction.message
    room = channel.id if channel else 0
    parent = channel.parent_id if isinstance(channel, discord.Thread) else None
    return Origin(
        id=interaction.id,
        guild=str(interaction.guild_id) if interaction.guild_id else f"dm-{interaction.user.id}",
        room=room,
        channel=str(parent or room),
        person=interaction.user,
        admin=interaction.guild_id is None or interaction.permissions.manage_guild,
        via="form",
        message=on,
        reply_to=str(on.id) if on else None,
        attachments=attachments,
    )


def of_reaction(reaction: discord.RawReactionActionEvent, person: Person) -> Origin:
    """Where a reaction comes from. It has no id of its own, and who takes theirs back may react again."""
    manages = isinstance(person, discord.Member) and person.guild_permissions.manage_guild
    return Origin(
        id=discord.utils.time_snowflake(discord.utils.utcnow()) | random.getrandbits(TAIL),
        guild=str(reaction.guild_id) if reaction.guild_id else f"dm-{reaction.user_id}",
        room=reaction.channel_id,
        channel=str(reaction.channel_id),
        person=person,
        admin=reaction.guild_id is None or manages,
        via="form",
        reply_to=str(reaction.message_id),
    )
