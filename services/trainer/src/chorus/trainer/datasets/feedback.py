"""What people gave that no dataset holds: tests that went wrong, examples, and personas."""

from collections.abc import Collection
from dataclasses import dataclass

from chorus.common.bus.state import Bucket
from chorus.common.contracts.consent import is_id
from chorus.common.contracts.feedback import TestRecord, feedback_key
from chorus.common.contracts.guild import Exchange, GuildSettings, Persona


@dataclass(frozen=True)
class Given:
    """One person's."""

    tests: list[TestRecord]
    examples: list[Exchange]
    personas: list[Persona]


class Feedback:
    """All guilds' feedback. The gateway keeps it; here it is only read and deleted."""

    def __init__(self, tests: Bucket[TestRecord], settings: Bucket[GuildSettings]) -> None:
        self._tests = tests
        self._settings = settings

    async def of(self, guild: str, person: str) -> Given:
        """What a person gave. All of it has their id: a name alone gave nothing."""
        if not is_id(person):
            return Given([], [], [])
        tests = [entry.value for entry in await self._tests.entries(feedback_key(guild, person))]
        entry = await self._settings.get(guild)
        chosen = entry.value if entry else GuildSettings()
        personas = [*([chosen.persona] if chosen.persona else []), *chosen.personas.values()]
        return Given(
            tests,
            [one for one in chosen.examples if one.by == person],
            [one for one in personas if one.by == person],
        )

    async def forget(self, guild: str, person: str, models: Collection[str]) -> int:
        """Delete these, and all tests of models that learned from the person: they may have said their words.

        `models` are called `name@version`. Returns how many tests, examples and personas went.
        """
        given = await self.of(guild, person)
        others = [entry.value for entry in await self._tests.entries(f"{guild}.")]
        keys = {test.key for test in (*given.tests, *(test for test in others if test.model in models))}
        for key in keys:
            await self._tests.delete(key)
        if given.examples or given.personas:
            await self._settings.change(guild, lambda old: _without(old, person))
        return len(keys) + len(given.examples) + len(given.personas)


def _without(settings: GuildSettings, person: str) -> GuildSettings:
    chosen = settings.persona
    return settings.model_copy(
        update={
            "examples": [one for one in settings.examples if one.by != person],
            "persona": None if chosen and chosen.by == person else chosen,
            "personas": {at: one for at, one in settings.personas.items() if one.by != person},
        }
    )
