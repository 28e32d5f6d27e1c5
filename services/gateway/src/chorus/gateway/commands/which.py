"""Which answer is meant: by the id of its message, by its link, by replying to it, or the last one here.

An id or a link of another server is simply unknown: answers are looked for in the guild alone. So is one of a
channel that whoever asks may not read.
"""

import re
from datetime import timedelta

from pydantic import Field

from chorus.common.contracts.feedback import ReplyRecord
from chorus.common.contracts.names import is_server, person_of
from chorus.common.contracts.wire import now
from chorus.common.errors import NotFound
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.rights import settings_of

ID, SNOWFLAKE = r"[a-z0-9]{1,20}", r"[0-9]{15,20}"
LINK = re.compile(
    r"<?https://(?:ptb\.|canary\.)?discord(?:app)?\.com/channels/(?P<guild>[0-9]{1,20}|@me)/[0-9]{1,20}/"
    r"(?P<message>[0-9]{1,20})>?"
)


class ReplyParameters(Parameters):
    """For commands that are about one answer: which one."""

    reply: str | None = Field(
        default=None, description="the answer's message, by id or link; otherwise the last one here"
    )


async def meant(ctx: Context, reply: str | None) -> ReplyRecord | None:
    """The answer that is meant; None where none was named, and nothing was answered here.

    Raises `NotFound` where one was named, by words or by replying to it, that is not known, or not any more.
    """
    if is_named(ctx, reply):
        return await named(ctx, reply or ctx.reply_to or "")
    if ctx.session.asked is not None and ctx.session.asked.reply is not None:
        return ctx.session.asked.reply
    return await _in_time(ctx, await ctx.chorus.replies.latest(ctx.guild, ctx.user, ctx.room))


def is_named(ctx: Context, reply: str | None) -> bool:
    """Whether an answer is named, by words or by replying to it; otherwise it is the last one here."""
    return reply is not None or ctx.reply_to is not None


async def named(ctx: Context, text: str) -> ReplyRecord:
    """The answer in the message with this id or link. Raises `NotFound`."""
    message = message_in(ctx, text)
    record = await _seen(ctx, message) if message else None
    if record is None:
        raise NotFound(
            "Message not found: I know no answer of mine in it, or not any more. Answers are kept for "
            f"{(await settings_of(ctx)).keep_replies_days} days here.",
            code="unknown_reply",
            param="reply",
        )
    return record


async def perhaps_named(ctx: Context, word: str) -> ReplyRecord | None:
    """The answer that a word names; None for a word like any other. Raises `NotFound` for ids of none."""
    if re.fullmatch(SNOWFLAKE, word) or LINK.fullmatch(word):
        return await named(ctx, word)
    return await _seen(ctx, word) if re.fullmatch(ID, word) else None


def message_in(ctx: Context, text: str) -> str | None:
    """The id that a text is, or that it links to in this guild."""
    if link := LINK.fullmatch(text):
        ours = person_of(ctx.guild) is not None if link["guild"] == "@me" else link["guild"] == ctx.guild
        return link["message"] if ours else None
    return text if re.fullmatch(ID, text) else None


def refuse_elsewhere(ctx: Context, record: ReplyRecord) -> None:
    """Raises `NotFound` for an answer of another channel: what was said there is not for everybody here."""
    if record.channel != ctx.room:
        raise NotFound(
            "That answer is in another channel. Say it there.", code="reply_elsewhere", param="reply"
        )


async def may_see(ctx: Context, channel: str | None) -> bool:
    """Whether whoever asks may read this channel or thread: here they do, and alone there is no other."""
    if channel == ctx.room or not is_server(ctx.guild):
        return True
    return channel is not None and ctx.people is not None and await ctx.people.may_read(channel)


async def known(ctx: Context, message: str) -> ReplyRecord | None:
    """The answer in the message of this id: the last one here, or one that is kept as the guild says."""
    last = ctx.session.asked.reply if ctx.session.asked else None
    if last is not None and message in (last.message, *last.before):
        return last
    return await _in_time(ctx, await ctx.chorus.replies.find(ctx.guild, message))


async def _seen(ctx: Context, message: str) -> ReplyRecord | None:
    """The answer in the message of this id, if whoever asks may read it there."""
    record = await known(ctx, message)
    return record if record is not None and await may_see(ctx, record.channel) else None


async def _in_time(ctx: Context, record: ReplyRecord | None) -> ReplyRecord | None:
    """The answer, if it is not older than the guild keeps any."""
    if record is None:
        return None
    settings = await settings_of(ctx)
    return record if now() - record.at < timedelta(days=settings.keep_replies_days) else None
