"""What was read from a guild's channels for a dataset, and how far: so that the next time only news are read.

    KV settings  <guild>.mining.<name>  →  Mined

Written by the gateway, part first, then cursors, by compare-and-set: a crash loses a part at most, and
what is read twice is one message by its id. A part is a ZIP in the bucket `files`, of files in the shape
of DiscordChatExporter's JSON, and holds the words of people who had opted in, nobody else's.

Where somebody's words have to go, whoever deletes them deletes the parts and writes the record without
them (`Mined.emptied`). Where a part is gone, the gateway reads the channels anew.
"""

from pydantic import Field, PositiveInt

from chorus.common.contracts.datasets import Source
from chorus.common.contracts.names import Guild, Name
from chorus.common.contracts.wire import Part, Time, Wire


class MinedPart(Part):
    """Some of what was read."""

    source: Source
    messages: PositiveInt


class Mined(Wire):
    """One dataset's channels, and what was kept of them. It names nobody, for older values stay."""

    guild: Guild
    name: Name
    since: Time | None = None
    """What was said before was not read."""
    cursors: dict[str, str] = Field(default={})
    """Of each channel and thread, by id: the last message that was read."""
    parts: list[MinedPart] = Field(default=[])
    touched_at: Time | None = None
    """When somebody was forgotten last: what was being read then does not go in."""

    def emptied(self) -> "Mined":
        """As if nothing had been read yet."""
        return self.model_copy(update={"cursors": {}, "parts": []})


def mining_key(guild: str, name: str) -> str:
    """Key of the record for one dataset."""
    return f"{mining_prefix(guild)}{name}"


def mining_prefix(guild: str) -> str:
    """What the keys of all of a guild's records start with."""
    return f"{guild}.mining."
