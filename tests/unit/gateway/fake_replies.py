"""A double of the port for answers that are kept."""

from collections.abc import Callable
from typing import Literal

from chorus.common.contracts.feedback import Opinion, ReplyRecord


class FakeReplies:
    """Answers and opinions by their keys."""

    def __init__(self) -> None:
        self.records: dict[str, ReplyRecord] = {}
        self.given: dict[str, Opinion] = {}

    async def keep(self, record: ReplyRecord) -> None:
        self.records[record.key] = record

    async def find(self, guild: str, message: str) -> ReplyRecord | None:
        found = (r for r in self.records.values() if (r.guild, r.message) == (guild, message))
        return next(found, None)

    async def latest(self, guild: str, person: str) -> ReplyRecord | None:
        theirs = [r for r in self.records.values() if (r.guild, r.person) == (guild, person)]
        return theirs[-1] if theirs else None

    async def judge(self, opinion: Opinion, changed: Callable[[Opinion], Opinion]) -> Opinion:
        self.given[opinion.key] = changed(self.given.get(opinion.key, opinion))
        return self.given[opinion.key]

    async def decide(self, opinion: Opinion, state: Literal["approved", "rejected"]) -> None:
        self.given[opinion.key] = self.given[opinion.key].model_copy(update={"state": state})

    async def opinions(self, guild: str) -> list[Opinion]:
        return [one for one in self.given.values() if one.guild == guild]
