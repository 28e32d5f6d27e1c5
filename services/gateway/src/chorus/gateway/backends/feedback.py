"""Tests in which a model was wrong: entries in the bucket `feedback`, which forgets them after 30 days."""

from chorus.common.bus.state import Bucket
from chorus.common.contracts.feedback import TestRecord, feedback_key

KEPT = 50
"""Tests of one person; of more, the newest ones."""


class BusFeedback:
    """`ports.Feedback`."""

    def __init__(self, records: Bucket[TestRecord]) -> None:
        self._records = records

    async def keep(self, record: TestRecord) -> None:
        """Store it; what a person has too many of goes, oldest first."""
        await self._records.change(record.key, lambda _: record, initial=record)
        for old in (await self.tests(record.guild, record.person))[KEPT:]:
            await self._records.delete(old.key)

    async def tests(self, guild: str, person: str | None) -> list[TestRecord]:
        """All that are kept, of one person or of everybody, newest first."""
        prefix = f"{guild}." if person is None else feedback_key(guild, person)
        tests = [entry.value for entry in await self._records.entries(prefix)]
        return sorted(tests, key=lambda test: test.at, reverse=True)
