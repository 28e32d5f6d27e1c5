"""Messages as turns of a conversation: whose words, without what is only decoration."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import discord

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.guild import PREFIX
from chorus.common.errors import ChorusError
from chorus.gateway.commands.chat import Say
from chorus.gateway.commands.parsing import bind
from chorus.gateway.commands.replies import FAILED
from chorus.gateway.commands.table import command_name
from chorus.gateway.frontends.discord.mentions import by_name
from chorus.gateway.frontends.discord.messages import as_command, by_a_person, without_mention
from chorus.gateway.frontends.discord.splitting import LIMIT

SAY = "send_message"
"""The command that is conversation."""
ROOM = 200  # characters by which a full message may be less than half full: a fence and small letters

_SMALL = re.compile(r"^-# .*(?:\n|$)", re.MULTILINE)
_CUT_OFF = re.compile(r"^-# .*Cut off: the answer reached", re.MULTILINE)
_SECOND_ANSWER = re.compile(r"^\*\*2\*\*$", re.MULTILINE)
_FIRST_ANSWER = "**1**\n"
_RESET = re.compile(r"^(?:Forgotten: the last \d+ messages|There was nothing to forget: no conversation) ")


@dataclass(frozen=True)
class Said:
    """One message, or several that are one answer of ours; `text` is empty where it is no turn."""

    ids: tuple[int, ...]
    by: str | None
    """The person's id; None is us."""
    text: str
    reply_to: int | None = None
    files: tuple[discord.Attachment, ...] = ()
    goes_on: bool = False
    """Whether it is so long that the next message of ours may be more of it."""
    is_cut_off: bool = False
    """Whether it says that it reached its length limit: what answers it then goes on from it."""
    is_reset: bool = False
    """Whether it says that all before it is forgotten."""


def read(message: discord.Message, me: int, prefix: str) -> Said:
    """What a message is for a conversation. Commands are none of it, nor is what answers them."""
    reference = message.reference
    reply_to = reference.message_id if reference else None
    if message.author.id == me:
        return Said(
            (message.id,),
            None,
            _our_words(message, me, prefix),
            reply_to,
            goes_on=len(message.content) > LIMIT // 2 - ROOM,
            is_cut_off=bool(_CUT_OFF.search(message.content)),
            is_reset=bool(_RESET.match(message.content)),
        )
    words = _their_words(message, me, prefix)
    named = by_name(words or "", message.guild, message.mentions)
    files = tuple(message.attachments) if words is not None else ()
    return Said((message.id,), str(message.author.id), named, reply_to, files)


def _our_words(message: discord.Message, me: int, prefix: str) -> str:
    asked = message.reference.resolved if message.reference else None
    if (
        isinstance(asked, discord.Message)
        and asked.author.id != me
        and _their_words(asked, me, prefix) is None
    ):
        return ""
    text = _SMALL.sub("", message.content).strip()
    if text.startswith(_FIRST_ANSWER):  # of several, the first is remembered
        text = _SECOND_ANSWER.split(text.removeprefix(_FIRST_ANSWER))[0]
    return "" if text.startswith(f"{FAILED} ") else text.strip()


def _their_words(message: discord.Message, me: int, prefix: str) -> str | None:
    """None where nobody says anything in a conversation: a bot, a command."""
    if not by_a_person(message):
        return None
    words = without_mention(message, me)
    command = as_command(words, prefix)
    return words if command is None else spoken(command)


def spoken(line: str) -> str | None:
    """What a line says in a conversation; None for a command that is none."""
    if not line.startswith(PREFIX):
        return line
    if (name := command_name(line)).lower().replace("-", "_") != SAY:
        return None
    try:
        return bind(Say, "text", line.removeprefix(PREFIX)[len(name) :]).text
    except ChorusError:  # whoever wrote it was told
        return None


def joined(messages: Iterable[Said]) -> Iterator[Said]:
    """The same in order, with answers of ours that needed several messages as one each."""
    before: Said | None = None
    for said in messages:
        if before and before.goes_on and said.by is None and said.reply_to is None and said.text:
            text = f"{before.text}\n{said.text}"
            before = replace(before, ids=before.ids + said.ids, text=text, goes_on=said.goes_on)
            continue
        if before:
            yield before
        before = said
    if before:
        yield before


def as_turns(messages: Sequence[Said]) -> list[Turn]:
    """Turns, oldest first. What one person says in a row is one turn, line by line, as datasets have it.

    Of answers to the same question in a row, as after a press of *Regenerate*, the last one counts; after one
    of *Continue*, both are one.
    """
    turns: list[Turn] = []
    before: Said | None = None
    for said in messages:
        role = "assistant" if said.by is None else "user"
        turn = Turn(role=role, content=said.text, name=said.by)
        if turns and before and role == turns[-1].role == "assistant":
            begun = f"{turns[-1].content} " if before.is_cut_off else ""
            turns[-1] = turn.model_copy(update={"content": begun + turn.content})
        elif turns and role == turns[-1].role and turn.name == turns[-1].name:
            turns[-1] = turn.model_copy(update={"content": f"{turns[-1].content}\n{turn.content}"})
        else:
            turns.append(turn)
        before = said
    return turns
