"""Where Discord does not let us answer: whoever asked is told once, with the permission that is missing."""

import discord
import structlog

from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.origin import Person
from chorus.gateway.frontends.discord.permissions import (
    HOW_TO_MEND,
    SEND,
    SEND_IN_THREADS,
    TO_ANSWER,
    VIEW,
    in_words,
    lacking,
)

log = structlog.get_logger()


async def tell_why(person: Person, channel: discord.abc.Snowflake | None) -> None:
    """Tell it in the channel if that is not what is forbidden, otherwise in their direct messages.

    Where both are closed to us, nobody can be told; the log knows.
    """
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return
    missing = missing_in(channel)
    told = f"lack {in_words(missing)} there" if missing else "am refused there without a reason"
    text = f"I could not answer you in <#{channel.id}>: I {told}. {HOW_TO_MEND}"
    closed = {VIEW, SEND, SEND_IN_THREADS} & set(missing)
    for where in (person,) if closed else (channel, person):
        if isinstance(where, discord.abc.Messageable):
            try:
                await where.send(text, suppress_embeds=True)
            except discord.Forbidden:
                continue
            except FAILURES as error:
                log.info("a refusal was not told", error=reason(error))
        return


def missing_in(channel: discord.abc.GuildChannel | discord.Thread) -> list[str]:
    """The permissions that we lack in a channel of a server; without these, all others are missing, too."""
    other = SEND if isinstance(channel, discord.Thread) else SEND_IN_THREADS
    needed = {name: permission for name, permission in TO_ANSWER.items() if name != other}
    missing = lacking(needed, channel.permissions_for(channel.guild.me))
    return missing[:1] if missing[:1] in ([VIEW], [SEND], [SEND_IN_THREADS]) else missing
