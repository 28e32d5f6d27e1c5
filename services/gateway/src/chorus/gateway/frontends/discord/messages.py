"""Which messages are meant for us, and what they say.

!train "words"          a command, if it is one of ours: other bots listen to `!`, too
<@us> what is new?      a mention, anywhere in the message
what is new?            in a direct message, or as a reply to us
<@us>                   asks what can be asked: !help
"""

import re

import discord

from chorus.gateway.commands.table import COMMANDS, PREFIX, command_name, nearest

PEOPLE_WRITE = (discord.MessageType.default, discord.MessageType.reply)
HELP = f"{PREFIX}help"


def heard(message: discord.Message, me: int) -> str | None:
    """The line that a message asks us to run, if it is meant for us; `me` is our user id."""
    if message.author.bot or message.webhook_id or message.type not in PEOPLE_WRITE:
        return None
    if message.guild is None and not is_private(message):  # of a server that Discord has not shown us yet
        return None
    said = message.content.strip()
    command = said.startswith(PREFIX)
    if command and _is_ours(said):
        return said
    mention = re.compile(rf"<@!?{me}>")
    if mention.search(said):
        return mention.sub("", said).strip() or HELP
    if is_private(message):
        return said or HELP
    return said if said and not command and _answers(message, me) else None


def is_private(message: discord.Message) -> bool:
    """Whether it is a direct message."""
    return isinstance(message.channel, discord.DMChannel)


def _is_ours(line: str) -> bool:
    """Whether it is one of our commands, or a slip of the pen that can be put right."""
    name = command_name(line).lower()
    return name in COMMANDS or nearest(name) is not None


def _answers(message: discord.Message, me: int) -> bool:
    """Whether it is a reply to a message of ours."""
    reference = message.reference
    answered = reference.resolved if reference else None
    return isinstance(answered, discord.Message) and answered.author.id == me


def tenant(message: discord.Message) -> str:
    """Whose data and models it is about: the server's, or the person's own."""
    return f"dm-{message.author.id}" if message.guild is None else str(message.guild.id)


def channel_of(message: discord.Message) -> str:
    """Whose persona counts: the channel's, also in its threads."""
    channel = message.channel
    return str((channel.parent_id if isinstance(channel, discord.Thread) else None) or channel.id)


def runs_this_place(message: discord.Message) -> bool:
    """Whether the person may train here: who manages the server, and everybody in their direct messages."""
    author = message.author
    return is_private(message) or (
        isinstance(author, discord.Member) and author.guild_permissions.manage_guild
    )


def names_of(author: discord.User | discord.Member) -> tuple[str, ...]:
    """What sources without ids call a person: their account's name, as exports have it.

    Not what they call themselves here: anybody could take on another's name, and have their words deleted.
    """
    return (author.name,)
