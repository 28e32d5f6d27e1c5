"""Where Discord does not let us answer: whoever asked is told once, with the permission that is missing."""

from contextlib import suppress

import aiohttp
import discord

from chorus.gateway.frontends.discord.origin import Person

VIEW, SEND, SEND_IN_THREADS = "View Channel", "Send Messages", "Send Messages in Threads"
"""As Discord's settings call them; where one of these is missing, all others are, too."""
NEEDED = {
    VIEW: discord.Permissions(view_channel=True),
    SEND: discord.Permissions(send_messages=True),
    SEND_IN_THREADS: discord.Permissions(send_messages_in_threads=True),
    "Embed Links": discord.Permissions(embed_links=True),
    "Attach Files": discord.Permissions(attach_files=True),
    "Read Message History": discord.Permissions(read_message_history=True),
}


async def tell_why(person: Person, channel: discord.abc.Snowflake | None) -> None:
    """Tell it in the channel if that is not what is forbidden, otherwise in their direct messages.

    Where both are closed to us, nobody can be told; the log knows.
    """
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return
    missing = missing_in(channel)
    told = f"lack {_in_words(missing)} there" if missing else "am refused there without a reason"
    text = (
        f"I could not answer you in <#{channel.id}>: I {told}. Whoever manages the server can mend that in "
        "the channel's settings, page Permissions."
    )
    closed = {VIEW, SEND, SEND_IN_THREADS} & set(missing)
    for where in (person,) if closed else (channel, person):
        with suppress(discord.Forbidden):
            with suppress(discord.HTTPException, aiohttp.ClientError, OSError):
                if isinstance(where, discord.abc.Messageable):
                    await where.send(text, suppress_embeds=True)
            return


def missing_in(channel: discord.abc.GuildChannel | discord.Thread) -> list[str]:
    """The permissions that we lack in a channel of a server."""
    ours = channel.permissions_for(channel.guild.me)
    other = SEND if isinstance(channel, discord.Thread) else SEND_IN_THREADS
    missing = [name for name, needed in NEEDED.items() if name != other and not ours >= needed]
    return missing[:1] if missing[:1] in ([VIEW], [SEND], [SEND_IN_THREADS]) else missing


def _in_words(missing: list[str]) -> str:
    """*A*, *B* and *C*."""
    *first, last = [f"*{name}*" for name in missing]
    named = f"{', '.join(first)} and {last}" if first else last
    return f"the permission{'s' if first else ''} {named}"
