"""From records to a dataset version: its three files and the card that accounts for all of it.

    gather → name speakers → clean and sift → conversations → examples → keep some aside → card

A million messages are held in memory, once: each stage changes them in place or lets go of them.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chorus.common.contracts.datasets import BuildOptions, Card
from chorus.common.errors import InvalidInput
from chorus.trainer.curation import conversations, stored
from chorus.trainer.curation.card import Contents, Tally, card_of
from chorus.trainer.curation.clean import sift
from chorus.trainer.curation.examples import Made, Making, of_chats
from chorus.trainer.curation.gather import Allowed, Gathered, Tell, batched, gather
from chorus.trainer.curation.monologues import of_monologues
from chorus.trainer.curation.ready import of_ready
from chorus.trainer.curation.records import Record
from chorus.trainer.curation.speakers import name_speakers
from chorus.trainer.curation.split import taught
from chorus.trainer.curation.tokens import TokenCounter

__all__ = ["Allowed", "Built", "build"]

EXAMPLES_AT_ONCE = 1024  # that are written in one go


@dataclass(frozen=True)
class Built:
    """What was made; the files are in the folder."""

    card: Card
    options: BuildOptions
    """Those that were given, and those that the source names itself."""


def build(
    records: Iterable[Record],
    folder: Path,
    options: BuildOptions,
    *,
    label: bool,
    contributor: str,
    allowed: Allowed,
    counter: TokenCounter,
    format_name: Callable[[], str],
    tell: Tell,
    defaults: Callable[[], Mapping[str, object]] = dict,
    notes: Callable[[], Sequence[str]] = tuple,
) -> Built:
    """Build a version in `folder`. Raises `InvalidInput` where nothing can be learned, and says why.

    `label` says whether these replies are wanted, where the source does not. Once all records are read,
    `format_name` is asked for what they were, `defaults` for options that the source itself names (they hold
    where nobody has chosen otherwise), and `notes` for what people should know of the files.
    """
    _check(options)
    tally, contents = Tally(), Contents()
    with (folder / stored.RECORDS).open("wb") as kept:
        gathered = gather(records, kept, allowed, contributor, tally, tell)
    stored.write_people(folder / stored.PEOPLE, gathered.people)
    options = BuildOptions.model_validate({**defaults(), **options.model_dump(exclude_unset=True)})

    speakers = name_speakers(gathered.messages, gathered.people, gathered.left_out, options)
    making = Making(options, label, contributor, speakers, counter, tally, contents)
    with (folder / stored.EXAMPLES).open("w+b") as file:
        learned = _write(_examples(gathered, making, tell), file, contents, tell)

    assert tally.read == tally.kept + tally.dropped.total(), "each record was kept or dropped"
    card = card_of(
        tally,
        contents,
        format_name=format_name(),
        validation=learned.aside,
        conversations=learned.conversations,
        names=speakers.names,
        options=options,
        notes=notes(),
    )
    return Built(card, options)


def _check(options: BuildOptions) -> None:
    """Raises `InvalidInput` for options of which one means nothing without the other."""
    if options.context_window and not options.context_length:
        raise InvalidInput(
            "`context_window` says out of how many messages `context_length` are chosen: give both, "
            "`context_length=2` say.",
            code="context_length_missing",
            param="context_length",
        )


def _examples(gathered: Gathered, making: Making, tell: Tell) -> Iterator[Made]:
    """What has no time comes first, then conversations as they began."""
    yield from of_ready(gathered.ready, making)
    messages = sift(gathered.messages, making.speakers, making.options, making.tally, tell)
    gathered.messages = []
    talks = conversations.group(messages, making.options.gap_minutes)
    del messages
    make = of_monologues if len(making.speakers.names) == 1 else of_chats
    yield from make(talks, making, first=len(gathered.ready))


@dataclass(frozen=True)
class _Written:
    conversations: int
    aside: int


def _write(examples: Iterable[Made], file: BinaryIO, contents: Contents, tell: Tell) -> _Written:
    """Write all, and mark the newest conversations as those to check against."""
    numbers, starts = array("Q"), array("Q")  # of each example: its conversation, where its line starts
    size = 0  # bytes
    for batch in batched(examples, EXAMPLES_AT_ONCE):
        for example, tokens, conversation in batch:
            contents.add(example, tokens)
            numbers.append(conversation)
            starts.append(size)
            size += file.write(stored.lines([example]))
        tell("writing examples", contents.examples)
    learned = taught(numbers)
    if learned < len(numbers):
        stored.set_aside(file, starts[learned])
    return _Written(len(set(numbers)), len(numbers) - learned)
