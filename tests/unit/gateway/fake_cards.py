"""Doubles of where cards and unfinished answers are kept: in memory, with the leases of the contracts."""

from collections.abc import Callable

from chorus.common.contracts.cards import CardState, JobCard, card_key
from chorus.common.contracts.unfinished import Unfinished
from chorus.common.contracts.wire import now


class FakeCards:
    def __init__(self) -> None:
        self.all: dict[str, JobCard] = {}

    async def get(self, guild: str, job: str) -> JobCard | None:
        return self.all.get(card_key(guild, job))

    async def put(self, card: JobCard) -> None:
        self.all[card.key] = card

    async def hold(self, card: JobCard, holder: str) -> bool:
        old = self.all.get(card.key)
        if old is None or old.message != card.message or not old.is_free(holder, now()):
            return False
        self.all[card.key] = old.held(holder, now())
        return True

    async def let_go(self, card: JobCard, holder: str, state: CardState) -> None:
        old = self.all[card.key]
        if old.message == card.message and old.holder == holder:
            self.all[card.key] = old.let_go(state)

    async def free(self, holder: str) -> list[JobCard]:
        return [card for card in self.all.values() if card.is_free(holder, now())]


class FakeUnfinished:
    def __init__(self) -> None:
        self.all: dict[str, Unfinished] = {}

    async def note(self, answer: Unfinished) -> None:
        self.all[answer.key] = answer

    async def renew(self, answer: Unfinished) -> None:
        if (old := self.all.get(answer.key)) and old.holder == answer.holder:
            self.all[answer.key] = old.held(answer.holder, now())

    async def done(self, answer: Unfinished) -> None:
        self.all.pop(answer.key, None)

    async def left(self, holder: str, is_ours: Callable[[str], bool]) -> list[Unfinished]:
        others = [one for one in self.all.values() if one.holder != holder and is_ours(one.guild)]
        left = [one for one in others if one.held_until < now()]
        for one in left:
            self.all[one.key] = one.held(holder, now())
        return left
