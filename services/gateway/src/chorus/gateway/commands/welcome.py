"""`!hi` and `!instruction`: what people try first."""

from chorus.gateway.commands.context import Context
from chorus.gateway.commands.jobs import NoParameters
from chorus.gateway.commands.replies import Reply, Text

INSTRUCTION = """\
Talk: say something to me, or !ask one question apart from the conversation. !qa looks into our data first.
Teach: attach a file to !train, or write !train "We meet on Fridays at eight."; then !use the new version.
Judge: 👍 or 👎 below an answer, !correct with what it should have said, !feedback in your own words.
Look: !jobs, !datasets, !models, !test; and !privacy shows what is kept of you, and deletes it.
!help lists all commands, !help train explains one."""


async def hi(_: Context, __: NoParameters) -> Reply:
    """Say hi."""
    return Text("HI!")


async def instruction(_: Context, __: NoParameters) -> Reply:
    """Say how to begin."""
    return Text(INSTRUCTION)
