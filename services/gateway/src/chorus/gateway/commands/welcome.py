"""`!hi` and `!instruction`, and what a server is told when we come: what people see first."""

from chorus.common.contracts.consent import Mode
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.parsing import NoParameters
from chorus.gateway.commands.replies import Reply, Text

INSTRUCTION = """\
Talk: mention me, reply to me or write to me directly; !ask is one question apart from the conversation. \
!qa looks into our data first.
Teach: attach a file to !train, or write !train "We meet on Fridays at eight."; then press Use it. \
In a server both need a right, which those who manage it have and grant: !settings train, !settings manage.
Judge: 👍 or 👎 below an answer, !correct with what it should have said, !feedback in your own words.
Look: !jobs, !datasets, !models, !test; and !privacy shows what is kept of you, and deletes it.
!help lists all commands, !help train explains one."""

LEARNED: dict[Mode, str] = {
    "off": "I learn only from files, and from words in slash commands and forms.",
    "submitted": "I learn only from what is handed over to me for that: files, slash commands and forms; "
    "what is typed only once somebody who manages this server has accepted a notice (`/notice`).",
    "permitted": "I learn from what is handed over to me for that, once somebody who manages this server has "
    "accepted a notice (`/notice`) also where it is typed; and from what people said here who opted in.",
}
"""By what the operator may do."""


async def hi(_: Context, __: NoParameters) -> Reply:
    """Say hi."""
    return Text("HI!")


async def instruction(_: Context, __: NoParameters) -> Reply:
    """Say how to begin."""
    return Text(INSTRUCTION)


def greeting(us: str, mode: Mode) -> str:
    """What a server is told when we come to it. `us` is how we are mentioned there."""
    return (
        f"Hello, I am {us}, a language model that learns from you. Mention me and I answer; `/help` lists "
        "all that I can do.\n"
        "To teach me, attach a file to `/train`: a chat export, say, or plain text. Those who manage this "
        "server may do that, and whom they let: `/settings`.\n"
        f"{LEARNED[mode]} `/privacy` shows everybody what is kept of them, and deletes it."
    )
