"""Which messages are meant for us, and what they say.

!train "words"          a command, if it is one of ours: other bots listen to `!`, too
<@us> what is new?      a mention, anywhere in the message, also of the role that is the bot's own
what is new?            in a direct message, as a reply to us, or in a channel where we were told to listen
<@us>                   asks what can be asked: !help

A server may have chosen another prefix than `!`; a line that is handed on always has `!`.
"""

import re
from dataclasses import dataclass

import discord

from chorus.common.contracts.guild import PREFIX
from chorus.gateway.commands.rows import COMMANDS, nearest
from chorus.gateway.commands.table import command_name
from chorus.gateway.frontends.discord.attached import recordings_of

PEOPLE_WRITE = (discord.MessageType.default, discord.MessageType.reply)
HELP = f"{PREFIX}help"


@dataclass(frozen=True)
class Ear:
    """How a channel is listened to."""

    me: int
    """Our user id."""
    prefix: str = PREFIX
    """What the server's commands begin with."""
    listens: bool = False
    """Whether all that is said in the channel is meant for us, but for what answers somebody else."""
    hears: bool = True
    """Whether recordings are heard: one alone says something, too."""


def heard(message: discord.Message, ear: Ear) -> str | None:
    """The line that a message asks us to run, if it is meant for us.

    A message that has nothing but files may be an empty line.
    """
    if not by_a_person(message):
        return None
    if message.guild is None and not is_private(message):  # of a server that Discord has not shown us yet
        return None
    said = message.content.strip()
    command = as_command(said, ear.prefix)
    if command and _is_ours(command):
        return command
    spoken = without_mention(message, ear.me)
    if spoken != said:
        return as_command(spoken, ear.prefix) or spoken or _nothing(message)
    if is_private(message):
        return command or said or _nothing(message)
    to_us = ear.listens if message.reference is None else _answers(message, ear.me)
    if not to_us or command:
        return None
    return said if said or _says_in_a_file(message, ear) else None


def by_a_person(message: discord.Message) -> bool:
    """Whether somebody wrote it: no bot, no webhook, no notice of Discord's."""
    return not message.author.bot and not message.webhook_id and message.type in PEOPLE_WRITE


def as_command(said: str, prefix: str) -> str | None:
    """The same with our own prefix, where it begins with the server's."""
    return PREFIX + said.removeprefix(prefix) if said.startswith(prefix) else None


def without_mention(message: discord.Message, me: int) -> str:
    """What it says, but for mentions of us, and of the role that Discord made for us when we came."""
    role = message.guild.self_role if message.guild else None
    ours = rf"<@!?{me}>|<@&{role.id}>" if role else rf"<@!?{me}>"
    return re.sub(ours, "", message.content).strip()


def is_private(message: discord.Message) -> bool:
    """Whether it is a direct message."""
    return isinstance(message.channel, discord.DMChannel)


def _nothing(message: discord.Message) -> str:
    """What somebody wants who says nothing, unless it is in a file."""
    return "" if message.attachments else HELP


def _is_ours(line: str) -> bool:
    """Whether it is one of our commands, or a slip of the pen that can be put right."""
    name = command_name(line).lower()
    return name in COMMANDS or nearest(name) is not None


def _says_in_a_file(message: discord.Message, ear: Ear) -> bool:
    """Whether a message without words says something: in a recording, or, where we listen, in any file."""
    if ear.hears and recordings_of(message.attachments):
        return True
    return ear.listens and bool(message.attachments)


def _answers(message: discord.Message, me: int) -> bool:
    """Whether it is a reply to a message of ours."""
    reference = message.reference
    answered = reference.resolved if reference else None
    return isinstance(answered, discord.Message) and answered.author.id == me


def names_of(author: discord.User | discord.Member) -> tuple[str, ...]:
    """What sources without ids call a person: their account's name, as exports have it.

    Not what they call themselves here: anybody could take on another's name, and have their words deleted.
    """
    return (author.name,)
