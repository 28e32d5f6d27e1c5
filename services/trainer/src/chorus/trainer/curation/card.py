"""The card of a version: what was read, what became of each record, what is in it, what to know of it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chorus.common.contracts.datasets import BuildOptions, Card, Histogram, Speaker
from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.duplicates import EXACT, NEAR
from chorus.trainer.curation.split import HELD_OUT_FROM
from chorus.trainer.curation.stored import Learned

# Reasons for which records are left out.
OPTED_OUT = "opted out"
NOT_OPTED_IN = "not opted in"
IN_ANOTHER_FILE = "in another file already"
BROKEN = "broken characters"
BOT = "by a bot"
COMMAND = "a command"
TOO_SHORT = "too short"
EMPTY_MESSAGE = "empty message"
NO_REPLY = "no reply to learn"
NOBODY_ANSWERED = "nobody answered"
TOO_FAR = "too far from a reply"
SITUATIONAL = "situational"

EDGES = [2**power for power in range(4, 21)]
"""Tokens: 16, 32, … a million, of which a card shows as many as it needs."""
SPEAKERS_SHOWN = 10
MENDS_SHOWN = 3  # records to mend that are named
WARNED_AT_MOST = 300  # characters of what a reader says of a file

FEW = 10  # examples below which a model mostly learns them by heart
MANY = 0.3  # share of what was read, of one reason, that is worth a word
SEVERAL = 2  # people whose replies are learned: of a talk between two, each one answers the other


@dataclass
class Tally:
    """What became of each record: read = kept + dropped."""

    read: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    to_mend: list[str] = field(default_factory=list)
    """Where something is wrong that people could mend: the first few."""
    mendable: int = 0

    def drop(self, reason: str, count: int = 1, *, mend: str = "") -> None:
        """Count what is left out, and why."""
        if count:
            self.dropped[reason] += count
        if mend:
            self.mendable += 1
            if len(self.to_mend) < MENDS_SHOWN:
                self.to_mend.append(mend)

    def told(self) -> str:
        """The reasons, the commonest first: `3 × no text, 1 × by a bot`."""
        return ", ".join(f"{count:,} × {reason}" for reason, count in self.dropped.most_common())


@dataclass
class Contents:
    """What is in the examples, gathered while they are written."""

    examples: int = 0
    positive: int = 0
    situational: int = 0
    tokens: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * len(EDGES))
    said: Counter[str] = field(default_factory=Counter)
    """Messages in the examples, by author."""
    learned: set[str] = field(default_factory=set)
    """Authors whose replies are learned."""
    first_at: float = 0.0
    last_at: float = 0.0
    replaced: Counter[str] = field(default_factory=Counter)
    alone: bool = False
    """Whether one person speaks, and nobody is answered."""

    def add(self, example: Learned, tokens: int) -> None:
        """One more example, of so many tokens."""
        self.examples += 1
        self.positive += example.label
        self.situational += example.situational
        self.tokens += tokens
        self.counts[min(bisect_left(EDGES, tokens), len(EDGES) - 1)] += 1

    def span(self, first: float, last: float) -> None:
        """Something in the examples was said from `first` to `last`; 0 is not known."""
        if first:
            self.first_at = min(self.first_at or first, first)
            self.last_at = max(self.last_at, last)


def card_of(
    tally: Tally,
    contents: Contents,
    *,
    format_name: str,
    validation: int,
    conversations: int,
    names: Mapping[str, str],
    options: BuildOptions,
    notes: Sequence[str] = (),
) -> Card:
    """The card. Raises `InvalidInput` where nothing can be learned, with what became of all that was read."""
    if not contents.examples:
        told = tally.told() or "there is nothing in it"
        raise InvalidInput(f"Nothing in this data can be learned: {told}.", code="nothing_to_learn")
    speakers = [
        Speaker(name=names[author], messages=count)
        for author, count in contents.said.most_common()
        if author in names
    ]
    shown = max(index for index, count in enumerate(contents.counts) if count) + 1
    return Card(
        format=format_name,
        read=tally.read,
        kept=tally.kept,
        dropped=dict(tally.dropped.most_common()),
        examples=contents.examples,
        positive=contents.positive,
        validation=validation,
        conversations=conversations,
        tokens=contents.tokens,
        lengths=Histogram(edges=EDGES[:shown], counts=contents.counts[:shown]),
        speakers=speakers[:SPEAKERS_SHOWN],
        people=len(contents.said),
        first_at=_time(contents.first_at),
        last_at=_time(contents.last_at),
        replaced=dict(contents.replaced.most_common()),
        situational=contents.situational,
        warnings=[*_warnings(tally, contents, validation, options), *notes],
    )


def _time(at: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None


def _warnings(tally: Tally, contents: Contents, validation: int, options: BuildOptions) -> list[str]:
    """What people should know before they train on this: little, and only what they can act on."""
    more = tally.mendable - len(tally.to_mend)
    return [
        *_of_size(contents, validation),
        *_of_losses(tally),
        *_of_speakers(contents, options),
        *(mend[:WARNED_AT_MOST] for mend in tally.to_mend),
        *([f"And {more:,} more like that."] if more else []),
    ]


def _of_size(contents: Contents, validation: int) -> list[str]:
    if contents.examples < FEW:
        return ["this is so little that it is learned by heart."]
    if validation:
        return []
    if contents.examples < HELD_OUT_FROM:
        return [f"with fewer than {HELD_OUT_FROM} examples none are kept aside to check against."]
    return ["no examples are kept aside to check against: too many are of the newest conversation."]


def _of_losses(tally: Tally) -> list[str]:
    """Reasons for which much is left out, where an option would keep it."""
    told = {
        "duplicates": ("say what was said before", (EXACT, NEAR)),
        "bots": ("are by bots", (BOT,)),
        "min_words": ("are too short", (TOO_SHORT,)),
        "situational": ("hang on a day, an hour or a place", (SITUATIONAL,)),
    }
    shares = {
        option: sum(tally.dropped[reason] for reason in reasons) / tally.read
        for option, (_, reasons) in told.items()
    }
    return [
        f"{share:.0%} of the messages {told[option][0]} and are left out; the option `{option}` keeps them."
        for option, share in shares.items()
        if share >= MANY
    ]


def _of_speakers(contents: Contents, options: BuildOptions) -> list[str]:
    if contents.alone:
        return ["only one person speaks in this data: their words are learned as text, not as replies."]
    if options.target and not contents.learned:
        return [f"nobody speaks by name in this data: `target={in_short(options.target)}` changes nothing."]
    if not options.target and len(contents.learned) > SEVERAL:
        return [
            f"the replies of {len(contents.learned)} people are learned as one voice; "
            "with `target` it is one person's."
        ]
    return []
