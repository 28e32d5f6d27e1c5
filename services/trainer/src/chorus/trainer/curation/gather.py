"""What readers give, gathered: people who do not want it left out, each message once, in order of time."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import BinaryIO, TypeVar

from chorus.common.contracts.consent import BY_NAME
from chorus.trainer.curation.card import BROKEN, NOT_OPTED_IN, OPTED_OUT, Tally
from chorus.trainer.curation.overlaps import each_once
from chorus.trainer.curation.records import (
    LATEST,
    SELF,
    Dropped,
    Message,
    Read,
    Record,
    account_name,
    author_by_name,
)
from chorus.trainer.curation.stored import Person, lines

BATCH = 8192  # records that are worked on at once
NUMBERED = re.compile(r"u[0-9]+")  # people as our own examples name them
NAMES_KEPT = 16  # of one person

Tell = Callable[[str, int], None]
"""A stage by name, and how much of it is done."""

T = TypeVar("T")


@dataclass(frozen=True)
class Allowed:
    """Who may be learned from."""

    opted_out: frozenset[str] = frozenset()
    """Ids of people who do not want it."""
    out_names: frozenset[str] = frozenset()
    """Their names, case-folded, for sources without ids."""
    only: frozenset[str] | None = None
    """For history that was mined: nobody else."""

    def objection(self, author: str) -> str | None:
        """Why this person's words are left out, if they are."""
        if author in self.opted_out or (author.startswith(BY_NAME) and self.is_out(author)):
            return OPTED_OUT
        return NOT_OPTED_IN if self.only is not None and author not in self.only else None

    def is_out(self, name: str) -> bool:
        """Whether somebody is called so, by name or by id, who does not want it."""
        return _folded(name) in self._names or name in self.opted_out

    @cached_property
    def _names(self) -> frozenset[str]:
        by_name = (person for person in self.opted_out if person.startswith(BY_NAME))
        return frozenset(map(_folded, (*self.out_names, *by_name)))


def _folded(name: str) -> str:
    return account_name(name.removeprefix(BY_NAME)).casefold()


@dataclass
class Gathered:
    """All there is to work on."""

    messages: list[Message] = field(default_factory=list)
    ready: list[Read] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    """Case-folded names of those who may not be learned from: nobody is to be called by them either."""


def gather(
    records: Iterable[Record], keep: BinaryIO, allowed: Allowed, contributor: str, tally: Tally, tell: Tell
) -> Gathered:
    """Read all, and write what may be kept, as it is, to `keep`."""
    gathered = Gathered(left_out=set(allowed.out_names))
    objections: dict[str, str | None] = {}
    for batch in batched(records):
        tally.read += len(batch)
        admitted: list[Record] = []
        for record in batch:
            if isinstance(record, Dropped):
                admitted.append(record)
                continue
            if isinstance(record, Message) and record.author == SELF:
                record.author = contributor
            objection: str | None = None
            for author in (
                (record.author,) if isinstance(record, Message) else record.authors or (contributor,)
            ):
                if author not in objections:
                    objections[author] = allowed.objection(author)
                objection = objection or objections[author]
            if objection is None and isinstance(record, Read) and _has_name_of(record, allowed):
                objection = OPTED_OUT
            if objection is None:
                wrong = isinstance(record, Message) and not 0 <= record.at < LATEST  # nor is it a number
                admitted.append(_of_no_time(record) if wrong else record)
                continue
            tally.drop(objection)
            if isinstance(record, Message):
                gathered.left_out.add(record.author_name.casefold())
        _take(gathered, _written(admitted, keep), contributor, tally)
        tell("reading", tally.read)
    gathered.messages.sort(key=attrgetter("at"))  # stable: without times, the order of the file
    gathered.messages = each_once(gathered.messages, tally)
    return gathered


def batched(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """In lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _has_name_of(read: Read, allowed: Allowed) -> bool:
    """Whether anybody speaks in it by name who does not want it; `u1` of our own examples is no name."""
    names = {turn.name for turn in read.messages if turn.name}
    if read.authors:
        names = {name for name in names if not NUMBERED.fullmatch(name)}
    return any(map(allowed.is_out, names))


def authors_of(read: Read, contributor: str) -> set[str]:
    """Whose words it is: as its source says; else of whoever hands it over, and of who speaks by name."""
    if read.authors:
        return set(read.authors)
    return {contributor, *(author_by_name(turn.name) for turn in read.messages if turn.name)}


def _of_no_time(record: Message | Read) -> Dropped:
    return Dropped("broken message", mend=f"{record.source}: a message has a time before 1970 or after 2100.")


def _written(records: list[Record], keep: BinaryIO) -> list[Record]:
    """Them as they are in the file: half a character, which no file of text can hold, is left out."""
    try:
        keep.write(lines(records))
    except UnicodeEncodeError:
        records = [record if _is_whole(record) else Dropped(BROKEN) for record in records]
        keep.write(lines(records))
    return records


def _is_whole(record: Record) -> bool:
    try:
        lines([record])
    except UnicodeEncodeError:
        return False
    return True


def _take(gathered: Gathered, records: list[Record], contributor: str, tally: Tally) -> None:
    """Sort them by kind, and note whose they are. Names that come again and again are kept once."""
    intern, people = sys.intern, gathered.people
    for record in records:
        if isinstance(record, Dropped):
            tally.drop(record.reason, mend=record.mend)
            continue
        if isinstance(record, Read):
            gathered.ready.append(record)
            for author in authors_of(record, contributor):
                people.setdefault(author, Person([])).messages += 1
            continue
        record.author = author = intern(record.author)
        record.author_name = name = intern(record.author_name)
        record.account = account = intern(record.account)
        record.channel = intern(record.channel)
        record.source = intern(record.source)
        gathered.messages.append(record)
        person = people.get(author)
        if person is None:
            person = people[author] = Person([])
        person.messages += 1
        if name and name not in person.names and len(person.names) < NAMES_KEPT:
            person.names.append(name)
        if account and account not in person.accounts and len(person.accounts) < NAMES_KEPT:
            person.accounts.append(account)
