"""Doubles of what mining needs: channels with messages in them, and a place for what is kept."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chorus.common.contracts.datasets import Source
from chorus.common.contracts.storage import ObjectRef
from chorus.common.errors import Conflict
from chorus.gateway.commands.history import Author, Channel, Said

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def said(number: int, author: str, text: str = "words", *, bot: bool = False, notice: bool = False) -> Said:
    return Said(number, Author(author, author, author, bot), text, AT, by_a_person=not notice)


class FakeHistory:
    """Channels by name; a channel that holds an error raises it when its messages are at an end."""

    def __init__(self) -> None:
        self.all: dict[Channel, list[list[Said]]] = {}
        self.errors: dict[int, Exception] = {}
        self.asked: list[tuple[int, int]] = []
        self.listed = 0

    def add(self, channel: Channel, *pages: list[Said], error: Exception | None = None) -> None:
        self.all[channel] = list(pages)
        if error:
            self.errors[channel.id] = error

    async def channels(self) -> list[Channel]:
        self.listed += 1
        return list(self.all)

    async def read(self, channel: int, after: int) -> AsyncIterator[list[Said]]:
        self.asked.append((channel, after))
        pages = next(pages for one, pages in self.all.items() if one.id == channel)
        for page in pages:
            if news := [message for message in page if message.id > after]:
                yield news
        if channel in self.errors:
            raise self.errors[channel]


@dataclass
class FakeHarvest:
    cursors: dict[int, int] = field(default_factory=dict)
    parts: list[list[tuple[Channel, list[Said]]]] = field(default_factory=list)

    def after(self, channel: int) -> int:
        return self.cursors.get(channel, 0)

    @property
    def kept(self) -> list[int]:
        return [message.id for part in self.parts for _, messages in part for message in messages]

    @property
    def sources(self) -> list[Source]:
        ref = ObjectRef(bucket="files", key="1/x", size=1, sha256="0" * 64)
        return [Source(file=ref, filename="mined.zip")] * bool(self.kept)

    async def keep(
        self,
        said: Sequence[tuple[Channel, list[Said]]],
        cursors: Mapping[int, int],
        may_be_kept: Callable[[], Awaitable[bool]],
    ) -> None:
        if not await may_be_kept():
            raise Conflict("Mine again.", code="mined_meanwhile")
        self.parts.append(list(said))
        self.cursors |= cursors


class FakeHarvests:
    def __init__(self) -> None:
        self.opened: list[tuple[str, str, datetime | None, bool]] = []
        self.harvest = FakeHarvest()

    async def open(self, guild: str, name: str, *, since: datetime | None, anew: bool) -> FakeHarvest:
        self.opened.append((guild, name, since, anew))
        return self.harvest
