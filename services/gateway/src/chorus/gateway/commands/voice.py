"""`!join`, `!leave`, `!skip` and `!stop`: Chorus in a voice channel.

What is heard there is for those who are in it to decide, and for those who manage the server.
"""

from pydantic import Field

from chorus.common.errors import InvalidInput, NotPermitted, in_short
from chorus.gateway.commands.calls import Calls
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import NoParameters, Parameters
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.rights import may

NOWHERE = "I am in no voice channel. Go into one, and `!join` calls me."
SILENT = "I am saying nothing."
DEAF = (
    "I cannot listen in a voice channel: discord.py receives no sound there, and no extra that does "
    "(`discord-ext-voice-recv`, with DAVE) is part of Chorus; send me a voice message, which I hear."
)


class Join(Parameters):
    """What `!join` takes."""

    listen: bool = Field(default=False, description="hear what is said there; not to be had: says why")


async def join(ctx: Context, asked: Join) -> Reply:
    """Come to the voice channel where the person is, and stay there."""
    if asked.listen:
        raise InvalidInput(DEAF, code="no_listening", param="listen")
    return Text(
        f"Joined {in_short(await _calls(ctx).join())}. `!say` is heard there, too; I hear nothing. "
        "`!leave` sends me away."
    )


async def leave(ctx: Context, _asked: NoParameters) -> Reply:
    """Go from the voice channel."""
    left = await (await theirs(ctx)).leave()
    return Text(NOWHERE if left is None else f"I have left {in_short(left)}.")


async def skip(ctx: Context, _asked: NoParameters) -> Reply:
    """End what is being said."""
    return Text("Skipped." if await (await theirs(ctx)).skip() else SILENT)


async def stop(ctx: Context, _asked: NoParameters) -> Reply:
    """End what is being said, and what waits to be said."""
    return Text("I am silent." if await (await theirs(ctx)).stop() else SILENT)


async def may_be_heard(ctx: Context, calls: Calls) -> bool:
    """Whether it is the person's to decide what is heard where we are; also where we are in no channel."""
    return not calls.are_elsewhere() or await may(ctx, "manage")


async def theirs(ctx: Context) -> Calls:
    """The voice channels, for who is where we are. Raises `InvalidInput`, `NotPermitted` for others."""
    calls = _calls(ctx)
    if not await may_be_heard(ctx, calls):
        raise NotPermitted(
            "I am in a voice channel where you are not. Go there, or ask somebody who is.",
            code="not_in_that_voice",
        )
    return calls


def _calls(ctx: Context) -> Calls:
    if ctx.calls is None:
        raise InvalidInput("There is no voice channel here: ask me in a server on Discord.", code="no_voice")
    return ctx.calls
