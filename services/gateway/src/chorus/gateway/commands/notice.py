"""`!notice`: what somebody confirms who runs a server, before typed words are learned there."""

from typing import Literal

from pydantic import Field

from chorus.common.contracts.guild import Notice
from chorus.common.contracts.names import is_server
from chorus.common.contracts.wire import now
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import Parameters
from chorus.gateway.commands.phrases import minute
from chorus.gateway.commands.replies import Button, Reply, Text
from chorus.gateway.commands.rights import require_own, settings_of
from chorus.gateway.commands.trust import NOTICE

ACCEPT = Button("Accept", "!notice accept", "good")


class NoticeParameters(Parameters):
    """What `!notice` takes."""

    answer: Literal["accept"] | None = Field(default=None, description="`accept`, to confirm it")


async def notice(ctx: Context, asked: NoticeParameters) -> Reply:
    """Show the notice, or record that it is confirmed."""
    if not is_server(ctx.guild):
        return Text("No notice is needed here: whoever types words here hands over their own.")
    if asked.answer == "accept":
        require_own(ctx, "Accepting it")
        await ctx.chorus.guilds.record_notice(ctx.guild, Notice(by=ctx.user, at=now(), text=NOTICE))
        return Text(
            'Recorded. What members hand over with `!train "…"` can be learned from now on.', settles=True
        )
    recorded = (await settings_of(ctx)).notice
    if recorded is None:
        return Text(f"{NOTICE}\nTo accept it: !notice accept", (ACCEPT,))
    return Text(f"{recorded.text}\nAccepted by {recorded.by} on {minute(recorded.at)}.")
