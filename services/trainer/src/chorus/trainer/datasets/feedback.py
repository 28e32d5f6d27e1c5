"""What people gave that no dataset holds: tests, questions, opinions of answers, examples, and personas."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from chorus.common.bus.state import Bucket
from chorus.common.contracts.consent import is_id
from chorus.common.contracts.feedback import (
    REPLIES_KEPT,
    Opinion,
    ReplyRecord,
    TestRecord,
    feedback_key,
)
from chorus.common.contracts.guild import Exchange, GuildSettings, Persona
from chorus.common.contracts.wire import now


@dataclass(frozen=True)
class Given:
    """One person's."""

    tests: list[TestRecord]
    replies: list[ReplyRecord]
    """That their words were asked with, also by others."""
    opinions: list[Opinion]
    examples: list[Exchange]
    personas: list[Persona]


class Feedback:
    """All guilds' feedback. The gateway keeps it; here it is only read and deleted."""

    def __init__(
        self,
        tests: Bucket[TestRecord],
        replies: Bucket[ReplyRecord],
        opinions: Bucket[Opinion],
        settings: Bucket[GuildSettings],
    ) -> None:
        self._tests = tests
        self._replies = replies
        self._opinions = opinions
        self._settings = settings

    async def of(self, guild: str, person: str) -> Given:
        """What a person gave. All of it has their id: a name alone gave nothing."""
        if not is_id(person):
            return Given([], [], [], [], [])
        tests = [entry.value for entry in await self._tests.entries(feedback_key(guild, person))]
        entry = await self._settings.get(guild)
        chosen = entry.value if entry else GuildSettings()
        personas = [*([chosen.persona] if chosen.persona else []), *chosen.personas.values()]
        return Given(
            tests,
            await self._answers(guild, lambda reply: person in reply.people),
            [entry.value for entry in await self._opinions.entries(f"{guild}.", f"*.*.{person}")],
            [one for one in chosen.examples if one.by == person],
            [one for one in personas if one.by == person],
        )

    async def _answers(self, guild: str, wanted: Callable[[ReplyRecord], bool]) -> list[ReplyRecord]:
        """Answers of which this holds. Those of one asker after the other: all at once would be large."""
        found: dict[str, ReplyRecord] = {}  # each once, whatever it stands under
        for asker in sorted({key.split(".")[1] for key in await self._replies.keys(f"{guild}.")}):
            entries = await self._replies.entries(f"{guild}.{asker}.")
            found |= {entry.value.key: entry.value for entry in entries if wanted(entry.value)}
        return list(found.values())

    async def _delete(self, answers: Iterable[ReplyRecord]) -> None:
        for key in {key for answer in answers for key in answer.keys}:
            await self._replies.delete(key)

    async def clear(self) -> int:
        """Delete answers that are older than their guild keeps any; for longer than the bucket none is kept.

        Returns how many went.
        """
        gone = 0
        for chosen in await self._settings.entries(rest="*"):
            kept_for = timedelta(days=chosen.value.keep_replies_days)
            if kept_for < REPLIES_KEPT:
                since = now() - kept_for
                old = await self._answers(chosen.key, lambda answer, since=since: answer.at <= since)
                await self._delete(old)
                gone += len(old)
        return gone

    async def forget(self, guild: str, person: str, models: Collection[str]) -> int:
        """Delete these, and all that models said that learned from the person: it may be their words.

        `models` are called `name@version`. With an answer go all opinions of it. Returns how much went.
        """
        given = await self.of(guild, person)
        others = [entry.value for entry in await self._tests.entries(f"{guild}.")]
        keys = {test.key for test in (*given.tests, *(test for test in others if test.model in models))}
        for key in keys:
            await self._tests.delete(key)
        said = await self._answers(guild, lambda reply: reply.model in models)
        replies = {reply.key: reply for reply in (*given.replies, *said)}
        opinions = {opinion.key for opinion in given.opinions}
        for key in replies:
            opinions |= {entry.key for entry in await self._opinions.entries(f"{key}.", "*")}
        await self._delete(replies.values())
        for key in opinions:
            await self._opinions.delete(key)
        if given.examples or given.personas:
            await self._settings.change(guild, lambda old: _without(old, person))
        return len(keys) + len(replies) + len(opinions) + len(given.examples) + len(given.personas)


def _without(settings: GuildSettings, person: str) -> GuildSettings:
    chosen = settings.persona
    return settings.model_copy(
        update={
            "examples": [one for one in settings.examples if one.by != person],
            "persona": None if chosen and chosen.by == person else chosen,
            "personas": {at: one for at, one in settings.personas.items() if one.by != person},
        }
    )
