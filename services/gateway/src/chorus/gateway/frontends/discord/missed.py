"""What was said while nobody heard it: from one process's stop to the next one's login.

Discord tells a new session nothing of that. It does tell the id of each channel's last message, and an id has
its time: where that is of late, what was said is read back. What is meant for us and has no reply of ours is
to be answered now. Nothing is kept for that, for a reply names the message that it answers. What a process
had in hand when it went has a reply then, whole or half (`unfinished` sees to that), or none.

Direct messages are left out: Discord does not list them.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta

import discord
import structlog

from chorus.gateway.frontends.discord.failures import FAILURES, reason
from chorus.gateway.frontends.discord.people import by_member, may_read

LATELY = timedelta(minutes=2)  # who has waited for longer than that has asked again, or gone
CHANNELS = 100  # that are read, one request after another; where something was said last comes first

Talks = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread

log = structlog.get_logger()


async def missed(
    client: discord.Client, is_for_us: Callable[[discord.Message], Awaitable[bool]]
) -> AsyncGenerator[discord.Message]:
    """Messages of late that nobody has answered, of our shards' servers; of each channel oldest first."""
    assert client.user is not None, "who looks is logged in"
    since = discord.utils.time_snowflake(discord.utils.utcnow() - LATELY)
    for channel in _lively(client.guilds, since):
        try:
            unanswered = await _unanswered(channel, since, client.user.id)
            found = [
                message for said in unanswered if await is_for_us(said) and (message := await by_member(said))
            ]
        except FAILURES as error:
            log.warning("what was missed cannot be read", channel=str(channel.id), reason=reason(error))
            continue
        for message in found:
            yield message


def _lively(guilds: Sequence[discord.Guild], since: int) -> list[Talks]:
    """Channels that we may read in which something was said since then."""
    lively: dict[Talks, int] = {}
    for guild in guilds:
        talks = (*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads)
        lively |= {
            channel: latest
            for channel in talks
            if (latest := channel.last_message_id or 0) > since and may_read(channel, guild.me)
        }
    return sorted(lively, key=lively.__getitem__, reverse=True)[:CHANNELS]


async def _unanswered(channel: Talks, since: int, me: int) -> list[discord.Message]:
    """What was said there, oldest first, but for what we have replied to."""
    history = channel.history(limit=None, after=discord.Object(since), oldest_first=True)
    said = [message async for message in history]
    answered = {
        message.reference.message_id for message in said if message.author.id == me and message.reference
    }
    return [message for message in said if message.id not in answered]
