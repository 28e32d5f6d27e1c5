"""What people gave that no dataset holds: tests that went wrong, and examples that models are shown."""

from collections.abc import Collection

from chorus.common.bus.state import Bucket
from chorus.common.contracts.consent import is_id
from chorus.common.contracts.feedback import TestRecord, feedback_key
from chorus.common.contracts.guild import Exchange, GuildSettings


class Feedback:
    """All guilds' feedback. The gateway keeps it; here it is only read and deleted."""

    def __init__(self, tests: Bucket[TestRecord], settings: Bucket[GuildSettings]) -> None:
        self._tests = tests
        self._settings = settings

    async def of(self, guild: str, person: str) -> tuple[list[TestRecord], list[Exchange]]:
        """A person's tests, and the examples that they gave. Both have ids: a name alone gave none."""
        if not is_id(person):
            return [], []
        tests = [entry.value for entry in await self._tests.entries(feedback_key(guild, person))]
        chosen = await self._settings.get(guild)
        return tests, [one for one in (chosen.value.examples if chosen else []) if one.by == person]

    async def forget(self, guild: str, person: str, models: Collection[str]) -> int:
        """Delete these, and all tests of models that learned from the person: they may have said their words.

        `models` are called `name@version`. Returns how many tests and examples went.
        """
        tests, examples = await self.of(guild, person)
        others = [entry.value for entry in await self._tests.entries(f"{guild}.")]
        keys = {test.key for test in (*tests, *(test for test in others if test.model in models))}
        for key in keys:
            await self._tests.delete(key)
        if examples:
            await self._settings.change(guild, lambda old: _without(old, person))
        return len(keys) + len(examples)


def _without(settings: GuildSettings, person: str) -> GuildSettings:
    return settings.model_copy(update={"examples": [one for one in settings.examples if one.by != person]})
