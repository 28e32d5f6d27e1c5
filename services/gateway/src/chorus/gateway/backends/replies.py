"""What was answered, and how people found it: entries in the buckets `replies` and `opinions`."""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from chorus.common.bus.state import Bucket
from chorus.common.contracts.feedback import Opinion, ReplyRecord
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES, encode
from chorus.common.errors import NotFound, TooLarge

LOOKED_AT = 100  # answers of one person, the newest: whoever wants an older one names it


class BusReplies:
    """`ports.Replies`."""

    def __init__(self, records: Bucket[ReplyRecord], opinions: Bucket[Opinion]) -> None:
        self._records = records
        self._opinions = opinions

    async def keep(self, record: ReplyRecord) -> None:
        """Store it under each of its messages; the same again is stored once."""
        if len(encode(record)) > MAX_MESSAGE_BYTES:
            raise TooLarge(f"An answer with its prompt is kept up to {MAX_MESSAGE_BYTES // 1024} KiB.")
        for key in record.keys:
            await self._records.change(key, lambda _: record, initial=record)

    async def find(self, guild: str, message: str) -> ReplyRecord | None:
        """Whoever asked for it."""
        found = await self._records.entries(f"{guild}.*.", message)
        return found[0].value if found else None

    async def latest(self, guild: str, person: str, channel: str | None) -> ReplyRecord | None:
        """Ids of messages grow with time, those of the console, too."""
        keys = await self._records.keys(f"{guild}.{person}.")
        for key in sorted(keys, key=lambda key: (len(key), key), reverse=True)[:LOOKED_AT]:
            entry = await self._records.get(key)  # what was deleted leaves its key for a while
            if entry and entry.value.channel == channel:
                return entry.value
        return None

    async def judge(self, opinion: Opinion, changed: Callable[[Opinion], Opinion]) -> Opinion:
        """Compare and set, until it holds."""
        return (await self._opinions.change(opinion.key, changed, initial=opinion)).value

    async def decide(self, opinion: Opinion, state: Literal["approved", "rejected"]) -> bool:
        """Without making an entry: what was deleted since stays so."""

        def decided(old: Opinion) -> Opinion:
            return old.model_copy(update={"state": state}) if old.at == opinion.at else old

        with suppress(NotFound):
            return (await self._opinions.change(opinion.key, decided)).value.at == opinion.at
        return False

    async def opinions(self, guild: str) -> list[Opinion]:
        """All entries."""
        found = [entry.value for entry in await self._opinions.entries(f"{guild}.")]
        return sorted(found, key=lambda opinion: opinion.at)
