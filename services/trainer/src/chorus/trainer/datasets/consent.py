"""The consent ledger: who may be learned from, in one guild, at one moment."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from chorus.common.bus.state import Bucket, Entry
from chorus.common.contracts.consent import (
    BY_NAME,
    NAMES_KEPT,
    ConsentRecord,
    Forget,
    SetConsent,
    consent_key,
    is_id,
)
from chorus.common.contracts.wire import now
from chorus.common.errors import Conflict, NotPermitted
from chorus.trainer.curation.records import account_name


@dataclass(frozen=True)
class Consents:
    """What everybody in a guild wants. Two of them are equal when nobody has changed their mind."""

    out: frozenset[str]
    """Ids of people who opted out."""
    out_names: frozenset[str]
    """Their names, case-folded, for sources without ids."""
    opted_in: frozenset[str]

    def of(self, way: str) -> tuple[frozenset[str], ...]:
        """What of it counts for words that came in this way."""
        return (self.out, self.out_names, *([self.opted_in] if way == "mined" else []))


class Ledger:
    """What people want, in the bucket `consent`."""

    def __init__(self, records: Bucket[ConsentRecord]) -> None:
        self._records = records

    async def consents(self, guild: str) -> Consents:
        """Everybody's last word."""
        people = [entry.value for entry in await self._records.entries(f"{guild}.")]
        out = [person for person in people if person.state == "out"]
        return Consents(
            out=frozenset(person.person for person in out),
            out_names=frozenset(name for person in out for name in folded(person.person, person.names)),
            opted_in=frozenset(person.person for person in people if person.state == "in"),
        )

    async def get(self, guild: str, person: str) -> ConsentRecord | None:
        """One person's, if they have said anything."""
        entry = await self._records.get(consent_key(guild, person))
        return entry.value if entry else None

    async def set(self, asked: SetConsent) -> ConsentRecord:
        """Write down what a person wants.

        Raises `NotPermitted` where somebody else opts them in, `Conflict` while a deletion goes on.
        """
        if asked.state == "in" and asked.said_by != asked.person:
            raise NotPermitted(
                "Nobody can opt in for somebody else: they say `!privacy optin` themselves.",
                code="only_oneself",
                param="person",
            )
        known = await self.get(asked.guild, asked.person)
        if asked.state == "in" and known is not None and known.forget_since:
            raise Conflict(
                "These words are being deleted. Opt in again when that is done.", code="deletion_under_way"
            )
        return await self._write(asked, forget=False)

    async def forget(self, asked: Forget, accounts: Collection[str]) -> ConsentRecord:
        """Write down that a person wants to be forgotten: first of all, so that no later build has them.

        `accounts` are names that go with their id in the data; exports without ids may use those.
        """
        wish = SetConsent.model_construct(
            guild=asked.guild,
            person=asked.person,
            state="out",
            names=[*asked.names, *sorted(accounts)],
            said_by=asked.said_by,
        )
        return await self._write(wish, forget=True)

    async def _write(self, asked: SetConsent, *, forget: bool) -> ConsentRecord:
        first = ConsentRecord(
            guild=asked.guild, person=asked.person, state=asked.state, said_by=asked.said_by, at=now()
        )

        def written(old: ConsentRecord) -> ConsentRecord:
            names = [name for name in dict.fromkeys([*asked.names, *old.names]) if name.strip()]
            return old.model_copy(
                update={
                    "state": asked.state,
                    "names": names[:NAMES_KEPT],
                    "said_by": asked.said_by,
                    "at": now(),
                    "forget_since": now() if forget else old.forget_since,
                }
            )

        key = consent_key(asked.guild, asked.person)
        return (await self._records.change(key, written, initial=first)).value

    async def forgotten(self, record: ConsentRecord) -> None:
        """A deletion is done, unless it was asked for again meanwhile."""

        def done(old: ConsentRecord) -> ConsentRecord:
            same = old.forget_since == record.forget_since
            return old.model_copy(
                update={"forgotten_at": now(), "forget_since": None if same else old.forget_since}
            )

        await self._records.change(consent_key(record.guild, record.person), done)

    async def unfinished(self) -> list[Entry[ConsentRecord]]:
        """Deletions that were begun, and not ended."""
        return [entry for entry in await self._records.entries() if entry.value.forget_since]


def folded(person: str, names: Iterable[str]) -> set[str]:
    """All names of a person as names are compared: a person who is known by name alone has that one."""
    own = [] if is_id(person) else [person.removeprefix(BY_NAME)]
    return {account_name(name).casefold() for name in (*names, *own) if name.strip()}


def is_of(contributor: str, person: str, names: set[str]) -> bool:
    """Whether a contributor's id means this person: the same id, or one of their names where it is a name."""
    if contributor.startswith(BY_NAME):
        return account_name(contributor.removeprefix(BY_NAME)).casefold() in names
    return contributor == person
