"""What mining needs of the world: channels and what was said in them, and a place for what may be kept."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from chorus.common.contracts.datasets import Source


@dataclass(frozen=True)
class Channel:
    """Where people talk: a channel, or a thread in one. A forum has threads alone."""

    id: int
    name: str
    kind: str
    """As DiscordChatExporter calls it: `GuildTextChat`, say."""
    parent: int | None = None
    """Of a thread: the channel it is in."""
    parent_name: str | None = None
    latest: int | None = None
    """Id of the last message; None where that is not known."""
    closed_to: Literal["bot", "asker"] | None = None
    """Who may not read it, if somebody may not who has to."""
    talks: bool = True
    """Whether anything is said in it: nothing is in a forum itself."""


@dataclass(frozen=True)
class Author:
    """Who said something."""

    id: str
    name: str
    nickname: str
    is_bot: bool


@dataclass(frozen=True)
class Attached:
    """A file that came with a message; the file itself is not read."""

    id: str
    name: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Said:
    """One message."""

    id: int
    author: Author
    text: str
    at: datetime
    edited_at: datetime | None = None
    reply_to: int | None = None
    attachments: tuple[Attached, ...] = ()
    by_a_person: bool = True
    """Whether somebody wrote it: nobody writes a notice that a message was pinned."""


class History(Protocol):
    """The channels of the server that was asked in, as far as whoever asked may read them."""

    async def channels(self) -> list[Channel]:
        """All of them, each one's threads after it. Raises what keeps all of them from being read."""
        ...

    def read(self, channel: int, after: int) -> AsyncIterator[list[Said]]:
        """What was said after a message, page by page, oldest first.

        Raises `NotPermitted` or `NotFound` for a channel that is closed or gone, `Unavailable` otherwise.
        """
        ...


class Harvest(Protocol):
    """What was kept for one dataset, and how far each channel was read."""

    def after(self, channel: int) -> int:
        """The last message that was read there; 0 if none was."""
        ...

    @property
    def sources(self) -> list[Source]:
        """All that was kept, this time and before."""
        ...

    async def keep(
        self,
        said: Sequence[tuple[Channel, list[Said]]],
        cursors: Mapping[int, int],
        may_be_kept: Callable[[], Awaitable[bool]],
    ) -> None:
        """Store messages, then how far was read; what may be kept is asked again between the two.

        Raises `Conflict`, with nothing kept, if it may not be any more, or if somebody else has read these
        channels or had words deleted meanwhile.
        """
        ...


class Harvests(Protocol):
    """What was kept of channels, by dataset."""

    async def open(self, guild: str, name: str, *, since: datetime | None, anew: bool) -> Harvest:
        """What there is. With `anew`, or since another day than before, it is empty."""
        ...
