"""What readers give: one record for every entry of a file, whatever its format.

`Message` and `Read` are structs of msgspec, for a million of them have to fit into memory (about 350
bytes each) and must not be walked by the garbage collector.
"""

import re
from typing import Literal

import msgspec

from chorus.common.contracts.consent import BY_NAME

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, gc=False, tag="message", tag_field="is", omit_defaults=True):
    """One message of a chat, as its source has it."""

    channel: str
    author: str
    """An id that stays; `name:<name>` where the source knows only names."""
    author_name: str
    text: str
    at: float = 0.0
    """Seconds since 1970, UTC; 0 where the source has no times, and the order is that of the file."""
    id: str = ""
    reply_to: str = ""
    """Id of the message that this one answers."""
    is_bot: bool = False
    edited_at: float = 0.0
    attachments: tuple[str, ...] = ()
    """Names of files: for the export of a person's words."""
    source: str = ""
    """The file it was read from."""
    account: str = ""
    """The account's own name, which a person has once; `author_name` may be a nickname of one server."""


class ReadTurn(msgspec.Struct, gc=False, omit_defaults=True):
    """One turn of a conversation that is an example as it stands."""

    role: Role
    content: str
    name: str | None = None


class Read(msgspec.Struct, tag="example", tag_field="is", omit_defaults=True):
    """A conversation that is an example as it stands: pairs, chats, pieces of plain text."""

    messages: list[ReadTurn]
    label: bool | None = None
    """Whether its replies are wanted, where the source says so."""
    source: str = ""
    authors: tuple[str, ...] = ()
    """Whose words it is, by ids as in `Message`, where the source says so; else of whoever hands it over."""


class Dropped(msgspec.Struct, tag="dropped", tag_field="is", omit_defaults=True):
    """An entry that was read, and cannot be used. `reason` is one of few, and is counted."""

    reason: str
    mend: str = ""
    """Where it is and what is wrong with it, if people would rather mend it than do without it. Never what
    somebody said in it: this is shown to others, and stays when their words are deleted."""


Record = Message | Read | Dropped
"""Exactly one for each entry of a file: read = kept + dropped."""

NOTICE = Dropped("system notice")
"""Joins, pins, calls: nobody's words."""
EMPTY = Dropped("no text")
"""A picture alone, a sticker, a link's preview."""


LATEST = 4_102_444_800.0
"""Seconds since 1970: the year 2100. No chat has a later time, and calendars end in the year 9999."""


SELF = "self"
"""Author of messages of which a source says only that they are one's own: whoever hands it over."""


_DISCRIMINATOR = re.compile(r"#[0-9]{4}$")


def author_by_name(name: str) -> str:
    """The author's id where there is only a name."""
    return f"{BY_NAME}{account_name(name)}"


def account_name(name: str) -> str:
    """The name without the four digits that Discord put after it until 2023: `mara` of `mara#1234`."""
    name = name.strip()
    return _DISCRIMINATOR.sub("", name) or name
