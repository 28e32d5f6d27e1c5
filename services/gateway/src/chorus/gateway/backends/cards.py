"""Cards of trainings: entries in the bucket `cards`."""

import asyncio

import structlog

from chorus.common.bus.state import Bucket
from chorus.common.contracts.cards import CardState, JobCard, card_key
from chorus.common.contracts.wire import now
from chorus.common.errors import Conflict, InvalidInput, NotFound

log = structlog.get_logger()


class BusCards:
    """`ports.JobCards`."""

    def __init__(self, cards: Bucket[JobCard]) -> None:
        self._cards = cards
        self._ended: set[str] = set()  # keys: most of a month's cards are, and need not be read again

    async def get(self, guild: str, job: str) -> JobCard | None:
        """The entry."""
        entry = await self._cards.get(card_key(guild, job))
        return entry.value if entry else None

    async def put(self, card: JobCard) -> None:
        """Write it over whatever is there."""
        await self._cards.change(card.key, lambda _: card, initial=card)

    async def hold(self, card: JobCard, holder: str) -> bool:
        """Compare and set; what is no longer in this message is somebody else's."""

        def held(old: JobCard) -> JobCard:
            if old.message != card.message or not old.is_free(holder, now()):
                raise Conflict(f"Another process follows {card.key}.", code="card_held")
            return old.held(holder, now())

        try:
            await self._cards.change(card.key, held)
        except (Conflict, NotFound):
            return False
        return True

    async def let_go(self, card: JobCard, holder: str, state: CardState) -> None:
        """The same, unless it is another's by now."""

        def freed(old: JobCard) -> JobCard:
            ours = old.message == card.message and old.holder == holder
            return old.let_go(state) if ours else old

        await self._cards.change(card.key, freed)

    async def free(self, holder: str) -> list[JobCard]:
        """All entries but those that had ended when they were read last."""
        keys = set(await self._cards.keys())
        self._ended &= keys
        found = await asyncio.gather(*(self._read(key) for key in sorted(keys - self._ended)))
        at = now()
        return [card for card in found if card is not None and card.is_free(holder, at)]

    async def _read(self, key: str) -> JobCard | None:
        try:
            entry = await self._cards.get(key)
        except InvalidInput as error:
            log.warning("card cannot be read", key=key, code=error.code)
            entry = None
        if entry is None or entry.value.state == "ended":
            self._ended.add(key)
        return entry.value if entry else None
