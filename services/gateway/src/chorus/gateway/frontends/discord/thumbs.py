"""Thumbs below our messages, put there and taken away: feedback without a word."""

import discord
import structlog

from chorus.common.contracts.guild import PREFIX
from chorus.common.errors import ChorusError
from chorus.gateway.commands.ports import Replies
from chorus.gateway.frontends.discord.origin import Person, tenant

THUMBS = {"👍": "up", "👎": "down"}
PUT, TAKEN = "REACTION_ADD", "REACTION_REMOVE"

log = structlog.get_logger()


def line_of_thumb(reaction: discord.RawReactionActionEvent, us: int | None) -> str | None:
    """The line that a reaction means; None for all but other people's thumbs below messages of ours.

    Of one that is taken away Discord does not say whose message it was on.
    """
    opinion = THUMBS.get((reaction.emoji.name or "")[:1])  # what follows is the thumb's colour
    whose = reaction.message_author_id if reaction.event_type == PUT else us
    if opinion is None or whose != us or reaction.user_id == us:
        return None
    undo = " undo=yes" if reaction.event_type == TAKEN else ""
    return f"{PREFIX}feedback {opinion} reply={reaction.message_id}{undo}"


async def is_on_an_answer(reaction: discord.RawReactionActionEvent, replies: Replies) -> bool:
    """Whether the message shows an answer of ours that is kept."""
    guild = tenant(reaction.guild_id, reaction.user_id)
    try:
        return await replies.find(guild, str(reaction.message_id)) is not None
    except ChorusError as error:
        log.warning("a thumb that was taken away was passed over", code=error.code, reason=error.message)
        return False


async def person_of(client: discord.Client, reaction: discord.RawReactionActionEvent) -> Person | None:
    """Who reacts; None where they are gone. A member of the server wherever it is in one."""
    if reaction.member:
        return reaction.member
    try:
        if reaction.guild_id is None:
            return client.get_user(reaction.user_id) or await client.fetch_user(reaction.user_id)
        if guild := client.get_guild(reaction.guild_id):
            return guild.get_member(reaction.user_id) or await guild.fetch_member(reaction.user_id)
    except discord.NotFound:
        pass
    return None
