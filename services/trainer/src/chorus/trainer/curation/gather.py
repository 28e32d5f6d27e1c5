"""What readers give, gathered: people who do not want it left out, each message once, in order of time."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import BinaryIO, TypeVar

from chorus.common.contracts.consent import BY_NAME
from chorus.trainer.curation.card import BROKEN, IN_ANOTHER_FILE, NOT_OPTED_IN, OPTED_OUT, Tally
from chorus.trainer.curation.records import SELF, Dropped, Message, Read, Record
from chorus.trainer.curation.stored import Person, lines

BATCH = 8192  # records that are worked on at once
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
        by_name = author.startswith(BY_NAME) and author.removeprefix(BY_NAME).casefold() in self.out_names
        if by_name or author in self.opted_out:
            return OPTED_OUT
        return NOT_OPTED_IN if self.only is not None and author not in self.only else None


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
        admitted: list[Message | Read] = []
        for record in batch:
            if isinstance(record, Dropped):
                tally.drop(record.reason, mend=record.mend)
                continue
            if isinstance(record, Message) and record.author == SELF:
                record.author = contributor
            author = record.author if isinstance(record, Message) else contributor
            if author not in objections:
                objections[author] = allowed.objection(author)
            objection = objections[author]
            if objection is None:
                admitted.append(record)
                continue
            tally.drop(objection)
            if isinstance(record, Message):
                gathered.left_out.add(record.author_name.casefold())
        _take(gathered, _written(admitted, keep, tally), contributor)
        tell("reading", tally.read)
    gathered.messages.sort(key=attrgetter("at"))  # stable: without times, the order of the file
    gathered.messages = _each_once(gathered.messages, tally)
    return gathered


def batched(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """In lists of at most `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _written(records: list[Message | Read], keep: BinaryIO, tally: Tally) -> list[Message | Read]:
    """Those that could be written: half a character, which no file of text can hold, is left out."""
    try:
        keep.write(lines(records))
    except UnicodeEncodeError:
        whole = [record for record in records if _is_whole(record)]
        tally.drop(BROKEN, len(records) - len(whole))
        keep.write(lines(whole))
        return whole
    return records


def _is_whole(record: Message | Read) -> bool:
    try:
        lines([record])
    except UnicodeEncodeError:
        return False
    return True


def _take(gathered: Gathered, records: list[Message | Read], contributor: str) -> None:
    """Sort them by kind, and note whose they are. Names that come again and again are kept once."""
    intern, people = sys.intern, gathered.people
    for record in records:
        if isinstance(record, Message):
            record.author = author = intern(record.author)
            record.author_name = name = intern(record.author_name)
            record.channel = intern(record.channel)
            record.source = intern(record.source)
            gathered.messages.append(record)
        else:
            author, name = contributor, ""
            gathered.ready.append(record)
        person = people.get(author)
        if person is None:
            person = people[author] = Person([])
        person.messages += 1
        if name and name not in person.names and len(person.names) < NAMES_KEPT:
            person.names.append(name)


def _each_once(messages: list[Message], tally: Tally) -> list[Message]:
    """Leave out what an overlapping export has as well; the newer wording of a message stays.

    The same message has the same time in each file, and messages are in order of time: only those of one
    moment are compared. Without ids, it is the same if the same person says the same at the same time in
    another file; within one file people do say "ok" twice a minute.
    """
    kept: list[Message] = []
    moment = -1.0
    seen: dict[tuple[str, str], Message] = {}
    for message in messages:
        if message.at != moment:
            moment = message.at
            seen = {}
        key = (message.channel, message.id) if message.id else (message.author, message.text)
        earlier = seen.setdefault(key, message)
        if earlier is message:
            kept.append(message)
        elif message.id:
            if message.edited_at > earlier.edited_at:
                earlier.text, earlier.edited_at = message.text, message.edited_at
            tally.drop(IN_ANOTHER_FILE)
        elif moment and message.source != earlier.source:
            tally.drop(IN_ANOTHER_FILE)
        else:
            kept.append(message)
    return kept
