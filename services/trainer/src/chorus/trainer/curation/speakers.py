"""Who speaks: how people are called in examples, and whose replies are learned.

A model has to tell several people apart, and does not need to know their names: the first one who speaks
is u1, the next u2. That follows from the order of time alone, so a dataset that is built again calls
everybody the same.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chorus.common.contracts.consent import BY_NAME
from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput, in_short
from chorus.common.speakers import SOMEONE, real_names
from chorus.trainer.curation.records import Message
from chorus.trainer.curation.stored import Person

NAMES_SHOWN = 5

_MENTION = re.compile(r"<@!?(\d+)>")


@dataclass(frozen=True)
class Speakers:
    """How each author is called in examples."""

    names: dict[str, str]
    """By the author's id."""
    by_name: dict[str, str]
    """By what exports call them, case-folded: for `@Alice` in a text. Empty if real names are kept."""
    targets: frozenset[str] | None
    """Whose replies are learned; None: of whoever answers most."""

    def mention(self, author: str) -> str:
        """The name of a person who is spoken of."""
        return self.names.get(author, SOMEONE)


def name_speakers(
    messages: Sequence[Message],
    people: Mapping[str, Person],
    left_out: Collection[str],
    options: BuildOptions,
) -> Speakers:
    """Name everybody, in the order of their first message. Bots are counted only where they are kept."""
    order = dict.fromkeys(m.author for m in messages if options.bots or not m.is_bot)
    targets = _targets(options.target, order, messages, people) if options.target and order else None
    if options.real_names:
        newest = {author: (people[author].names or [""])[-1] for author in order}
        return Speakers(real_names(newest), {}, targets)
    names = {author: f"u{number}" for number, author in enumerate(order, 1)}
    by_name = dict.fromkeys(left_out, SOMEONE)
    by_name |= {known.casefold(): names[author] for author in order for known in people[author].names}
    return Speakers(names, by_name, targets)


def _targets(
    target: str, order: Collection[str], messages: Sequence[Message], people: Mapping[str, Person]
) -> frozenset[str]:
    """Who is meant, of those who are kept. Raises `InvalidInput` that says so where it is a bot."""
    kept = {author: people[author] for author in order}
    bots = {m.author: people[m.author] for m in messages if m.is_bot and m.author not in kept}
    if not _meant(target, kept) and _meant(target, bots):
        raise InvalidInput(
            f"{in_short(target)!r} is a bot, and bots are left out. Say `bots=True` to keep them.",
            code="target_is_a_bot",
            param="target",
        )
    return find(target, kept)


def find(target: str, people: Mapping[str, Person]) -> frozenset[str]:
    """The author with this id, or those with this name: with an id and, from another file, without.

    Raises `InvalidInput` where nobody is meant, or several people could be.
    """
    found = _meant(target, people)
    with_id = [author for author in found if not author.startswith(BY_NAME)]
    if len(with_id) > 1:
        raise InvalidInput(
            f"Several people are called {in_short(target)!r}: {', '.join(with_id[:NAMES_SHOWN])}. "
            "Give the id of the one you mean as `target`.",
            code="ambiguous_target",
            param="target",
        )
    if not found:
        raise InvalidInput(
            f"Nobody in this data is called {in_short(target)!r}. {_who_there_is(target, people)}",
            code="no_such_target",
            param="target",
        )
    return frozenset(found)


def _meant(target: str, people: Mapping[str, Person]) -> list[str]:
    """The author with this id, or all with this name."""
    mentioned = _MENTION.fullmatch(target.strip())
    wanted = mentioned[1] if mentioned else _plain(target)
    if wanted in people:
        return [wanted]
    wanted = wanted.casefold()
    return [author for author, person in people.items() if wanted in map(str.casefold, person.names)]


def _plain(target: str) -> str:
    return target.strip().removeprefix("@")


def _who_there_is(target: str, people: Mapping[str, Person]) -> str:
    """Names that are like the one that was wanted, or else of those who say most."""
    wanted = _plain(target).casefold()
    spoken = sorted(people.values(), key=lambda person: -person.messages)
    names = {name.casefold(): name for person in spoken for name in person.names}
    near = difflib.get_close_matches(wanted, names, n=3)
    shown = near or list(names)[:NAMES_SHOWN]
    told = ", ".join(in_short(names[name]) for name in shown)
    return f"Did you mean {told}?" if near else f"Those who say most: {told}."
