"""`!join`, `!leave`, `!skip` and `!stop`: Chorus in a voice channel."""

from chorus.common.errors import InvalidInput, in_short
from chorus.gateway.commands.calls import Calls
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.jobs import NoParameters
from chorus.gateway.commands.replies import Reply, Text

NOWHERE = "I am in no voice channel. Go into one, and `!join` calls me."
SILENT = "I am saying nothing."


async def join(ctx: Context, _asked: NoParameters) -> Reply:
    """Come to the voice channel where the person is, and stay there."""
    return Text(
        f"Joined {in_short(await _calls(ctx).join())}. `!say` is heard there, too; I hear nothing. "
        "`!leave` sends me away."
    )


async def leave(ctx: Context, _asked: NoParameters) -> Reply:
    """Go from the voice channel."""
    left = await _calls(ctx).leave()
    return Text(NOWHERE if left is None else f"I have left {in_short(left)}.")


async def skip(ctx: Context, _asked: NoParameters) -> Reply:
    """End what is being said."""
    return Text("Skipped." if await _calls(ctx).skip() else SILENT)


async def stop(ctx: Context, _asked: NoParameters) -> Reply:
    """End what is being said, and what waits to be said."""
    return Text("I am silent." if await _calls(ctx).stop() else SILENT)


def _calls(ctx: Context) -> Calls:
    if ctx.calls is None:
        raise InvalidInput("There is no voice channel here: ask me in a server on Discord.", code="no_voice")
    return ctx.calls
