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
        self.records |= dict.fromkeys(record.keys, record)

    async def find(self, guild: str, message: str) -> ReplyRecord | None:
        found = (r for r in self.records.values() if r.guild == guild and message in (*r.before, r.message))
        return next(found, None)

    async def latest(self, guild: str, person: str, channel: str | None) -> ReplyRecord | None:
        wanted = (guild, person, channel)
        theirs = [r for r in self.records.values() if (r.guild, r.person, r.channel) == wanted]
        return theirs[-1] if theirs else None

    async def judge(self, opinion: Opinion, changed: Callable[[Opinion], Opinion]) -> Opinion:
        self.given[opinion.key] = changed(self.given.get(opinion.key, opinion))
        return self.given[opinion.key]

    async def decide(self, opinion: Opinion, state: Literal["approved", "rejected"]) -> bool:
        now = self.given.get(opinion.key)
        if now is None or now.at != opinion.at:
            return False
        self.given[opinion.key] = now.model_copy(update={"state": state})
        return True

    async def opinions(self, guild: str) -> list[Opinion]:
        return [one for one in self.given.values() if one.guild == guild]
