"""Reading channels: which ones, page by page, keeping what may be kept."""

import asyncio
import difflib
import re
import unicodedata
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from chorus.common.errors import NotFound, NotPermitted, TooLarge, Unavailable, in_short
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.history import Channel, Harvest, History, Said
from chorus.gateway.commands.phrases import counted, in_a_row
from chorus.gateway.commands.replies import Moment

KEPT_AT_ONCE, READ_AT_ONCE = 1000, 5000
"""Messages after which what was read is stored: about a minute of reading, that a crash costs at most."""

CHANNELS_AT_MOST = 8000  # with their threads; how far each was read is one record of half a megabyte


class Reading:
    """One turn of reading for one dataset."""

    def __init__(self, ctx: Context, harvest: Harvest, limit: int | None) -> None:
        self._ctx = ctx
        self._harvest = harvest
        self._left = limit
        self._said: dict[int, tuple[Channel, list[Said]]] = {}
        self._cursors: dict[int, int] = {}
        self._unstored = 0
        self._read = self._kept = self._passed_over = 0
        self._closed: list[Channel] = []

    async def read(self, history: History, channels: Sequence[Channel]) -> AsyncGenerator[Moment, None]:
        """Read what is new in each channel, oldest first, and store what may be kept."""
        there = [channel for channel in channels if channel.talks and not channel.closed_to]
        if len(there) > CHANNELS_AT_MOST:
            raise TooLarge(
                f"There are {len(there):,} channels and threads; {CHANNELS_AT_MOST:,} can be read for one "
                "dataset. Name some: `!mine channel=#general name=general`.",
                code="too_many_channels",
                param="channel",
            )
        for number, channel in enumerate(there):
            async with aclosing(self._pages(history, channel)) as pages:
                async for page in pages:
                    await self._take(channel, page)
                    yield self._moment(number, len(there), channel)
            if self._left == 0:
                break
        await self._store()

    async def _pages(self, history: History, channel: Channel) -> AsyncGenerator[list[Said], None]:
        """What is new in a channel, up to the limit. One that is closed by now is noted, and no error."""
        after = self._harvest.after(channel.id)
        if channel.latest is not None and channel.latest <= after:
            return
        try:
            async for page in history.read(channel.id, after):
                yield page[: self._left]
                if self._left == 0:
                    return
        except (NotPermitted, NotFound):
            self._closed.append(channel)
        except Unavailable:
            await self._store()
            raise

    async def _take(self, channel: Channel, page: list[Said]) -> None:
        """Keep what people who opted in have said; of the others, only that they said something."""
        words = [s for s in page if s.by_a_person and not s.author.is_bot and s.text.strip()]
        welcome = await self._opted_in(words)
        self._said.setdefault(channel.id, (channel, []))[1].extend(welcome)
        self._cursors[channel.id] = page[-1].id
        self._read += len(page)
        self._unstored += len(page)
        self._passed_over += len(words) - len(welcome)
        if self._left is not None:
            self._left -= len(page)
        waiting = sum(len(said) for _, said in self._said.values())
        if waiting >= KEPT_AT_ONCE or self._unstored >= READ_AT_ONCE:
            await self._store()

    async def _store(self) -> None:
        """Store what waits for it; people are asked again, since some may have changed their minds."""
        if not self._cursors:
            return
        said = [(channel, await self._opted_in(words)) for channel, words in self._said.values()]
        everything = [one for _, words in said for one in words]

        async def may_be_kept() -> bool:
            return await self._opted_in(everything) == everything

        await self._harvest.keep(said, self._cursors, may_be_kept)
        self._kept += sum(len(words) for _, words in said)
        self._said, self._cursors, self._unstored = {}, {}, 0

    async def _opted_in(self, said: Iterable[Said]) -> list[Said]:
        """What people have said who are opted in at this moment, and have said so themselves."""
        said = list(said)
        people = sorted({s.author.id for s in said})
        records = await asyncio.gather(
            *(self._ctx.chorus.privacy.record(self._ctx.guild, person) for person in people)
        )
        opted_in = {r.person for r in records if r and r.state == "in" and r.said_by == r.person}
        return [s for s in said if s.author.id in opted_in]

    def _moment(self, done: int, total: int, channel: Channel) -> Moment:
        waiting = sum(len(said) for _, said in self._said.values())
        return Moment(
            stage=f"channel {done + 1} of {total}: {_shown(channel)}",
            done=done,
            total=total,
            figures=(f"{self._read:,} messages read", f"{self._kept + waiting:,} kept"),
        )

    def told(self, channels: Sequence[Channel]) -> str:
        """What came of it. Channels that whoever asked may not see are not named."""
        lines = [
            f"Read {self._read:,} new messages. {self._kept:,} of people who opted in are kept; "
            f"{self._passed_over:,} of others were passed over."
        ]
        if self._left == 0:
            lines.append("That is the limit: mine again to go on from there.")
        closed = [*(c for c in channels if c.closed_to == "bot" and c.name), *self._closed]
        if closed:
            lines.append(f"I may not read {in_a_row([_shown(channel) for channel in closed])}.")
        if hidden := sum(channel.closed_to == "asker" for channel in channels):
            lines.append(f"You may not read {counted(hidden, 'channel')}: left out.")
        if self._passed_over:
            lines.append("Of people who opt in later, `!mine anew=True` reads what they said before.")
        return "\n".join(lines)


def chosen(channels: Sequence[Channel], wanted: str | None) -> Sequence[Channel]:
    """The channels that are meant, with their threads. Raises `NotFound` for what there is not."""
    if wanted is None:
        return channels
    seen = [channel for channel in channels if channel.closed_to != "asker"]
    ids: set[int] = set()
    for word in re.split(r"\s*,\s*|\s+(?=<?#)", wanted.strip()):
        plain = _plain(re.sub(r"^<?#|>$", "", word))
        found = {c.id for c in seen if plain in (str(c.id), _plain(c.name))}
        if not found:
            near = difflib.get_close_matches(plain, [_plain(c.name) for c in seen], n=1)
            hint = f" Did you mean #{near[0]}?" if near else ""
            raise NotFound(
                f"There is no channel {in_short(word)} that you may read.{hint}",
                code="unknown_channel",
                param="channel",
            )
        ids |= found
    return [channel for channel in seen if channel.id in ids or channel.parent in ids]


def _plain(name: str) -> str:
    """A name as names are compared: signs that look alike are alike."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _shown(channel: Channel) -> str:
    return f"#{in_short(channel.name)}"
