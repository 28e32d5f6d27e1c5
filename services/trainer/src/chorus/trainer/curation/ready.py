"""Records that are examples as they stand: pairs, chats, pieces of plain text.

Whoever wrote them wrote them to be learned: nothing is changed but personal data.
"""

from collections.abc import Iterable, Iterator

from chorus.trainer.curation.card import EMPTY_MESSAGE, NO_REPLY, SITUATIONAL
from chorus.trainer.curation.duplicates import EXACT
from chorus.trainer.curation.examples import Made, Making
from chorus.trainer.curation.gather import authors_of, batched
from chorus.trainer.curation.personal import replace
from chorus.trainer.curation.records import Read
from chorus.trainer.curation.situational import is_situational
from chorus.trainer.curation.stored import Learned

AT_ONCE = 1024  # examples whose tokens are counted in one call
END_TOKEN = 1  # all that is added to plain text


def of_ready(reads: Iterable[Read], making: Making) -> Iterator[Made]:
    """Examples of these, each a conversation of its own."""
    counter = making.counter
    checked = batched(_checked(reads, making), AT_ONCE)
    number = 0
    for batch, tokens in counter.ahead(checked, _texts):
        counted = iter(tokens)
        for example in batch:
            sizes = [next(counted) + counter.of_name(turn.name or "") for turn in example.messages]
            template = counter.per_example + len(sizes) * counter.per_turn if len(sizes) > 1 else END_TOKEN
            making.tally.kept += 1
            making.contents.said[making.contributor] += 1
            yield Made(example, sum(sizes) + template, number)
            number += 1


def _checked(reads: Iterable[Read], making: Making) -> Iterator[Learned]:
    """Those that can be learned, each once. That nearly the same is asked twice is meant here."""
    options, tally = making.options, making.tally
    seen: set[int] = set()
    for read in reads:
        label = making.label if read.label is None else read.label
        key = hash((label, *((turn.role, turn.name, turn.content) for turn in read.messages)))
        reason = _unfit(read)
        if reason is None and options.duplicates == "drop" and key in seen:
            reason = EXACT
        situational = reason is None and _is_situational(read)
        if situational and options.situational == "drop":
            reason = SITUATIONAL
        if reason is not None:
            tally.drop(reason)
            continue
        seen.add(key)
        if options.personal_data == "replace":
            for turn in read.messages:
                turn.content = replace(turn.content, making.contents.replaced)
        contributors = sorted(authors_of(read, making.contributor))
        yield Learned(read.messages, label, contributors, read.source, situational=situational)


def _unfit(read: Read) -> str | None:
    if not all(turn.content.strip() for turn in read.messages):
        return EMPTY_MESSAGE
    return None if read.messages and read.messages[-1].role == "assistant" else NO_REPLY


def _is_situational(read: Read) -> bool:
    """Of plain text nobody asks on which day it was written."""
    *before, reply = [turn.content for turn in read.messages]
    return bool(before) and is_situational(reply, before)


def _texts(examples: list[Learned]) -> list[str]:
    return [turn.content for example in examples for turn in example.messages]
