"""What a server has to permit us: what an invitation asks for, and what is told where some is missing."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from discord import Permissions

VIEW, SEND, SEND_IN_THREADS = "View Channel", "Send Messages", "Send Messages in Threads"
TO_ANSWER = {
    VIEW: Permissions(view_channel=True),
    SEND: Permissions(send_messages=True),
    SEND_IN_THREADS: Permissions(send_messages_in_threads=True),
    "Embed Links": Permissions(embed_links=True),
    "Attach Files": Permissions(attach_files=True),
    "Read Message History": Permissions(read_message_history=True),
}
"""What an answer needs, as Discord's settings call it."""
TO_SPEAK = {VIEW: TO_ANSWER[VIEW], "Connect": Permissions(connect=True), "Speak": Permissions(speak=True)}
"""The same of a voice channel."""

INVITED = reduce(or_, TO_ANSWER.values(), Permissions(add_reactions=True, use_application_commands=True))
INVITED_TO_SPEAK = reduce(or_, TO_SPEAK.values(), INVITED | Permissions(send_voice_messages=True))

HOW_TO_MEND = "Whoever manages the server can mend that in the channel's settings, page Permissions."


def lacking(needed: Mapping[str, Permissions], ours: Permissions) -> list[str]:
    """Names of the needed permissions that are none of ours."""
    return [name for name, permission in needed.items() if not ours >= permission]


def in_words(names: Sequence[str]) -> str:
    """*A*, *B* and *C*; at least one."""
    *first, last = [f"*{name}*" for name in names]
    return f"{', '.join(first)} and {last}" if first else last
