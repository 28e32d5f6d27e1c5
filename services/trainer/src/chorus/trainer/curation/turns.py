"""A conversation as turns: who says what at once, who answers, and where a long one is cut. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, islice, pairwise

import msgspec

from chorus.trainer.curation.records import Message

LONGEST_TURN = 4000  # characters, Discord's longest message: a monologue of hours is no turn
CHOICES_MOST = 128  # of one reply's context; mimicbot's default makes 15


class Spoken(msgspec.Struct, gc=False):
    """One turn: what one person says, in one message or in several right after each other."""

    author: str
    content: str
    messages: int
    source: str
    first_at: float
    last_at: float
    situational: bool = False
    tokens: int = 0
    """In an example, with all that is written around it."""


def turns_of(conversation: Sequence[Message], merge_minutes: int) -> list[Spoken]:
    """Messages of one person within `merge_minutes` of each other are one turn, line by line; 0: none are."""
    within = merge_minutes * 60 if merge_minutes else -1
    turns: list[Spoken] = []
    run: list[Message] = []
    size = 0
    for message in conversation:
        size += len(message.text)
        if run:
            last = run[-1]
            if message.author != last.author or message.at - last.at > within or size > LONGEST_TURN:
                turns.append(_turn(run))
                run, size = [], len(message.text)
        run.append(message)
    if run:
        turns.append(_turn(run))
    return turns


def answerer(turns: Sequence[Spoken]) -> str:
    """Who answers most; of several the one who speaks last."""
    answers = Counter(now.author for before, now in pairwise(turns) if now.author != before.author)
    most = max(answers.values(), default=0)
    return next((t.author for t in reversed(turns) if answers[t.author] == most), turns[-1].author)


def after_last_reply(turns: Sequence[Spoken], learned: Collection[str]) -> int:
    """How many turns there are up to and with the last reply to somebody; 0 where there is none."""
    asked = next((at for at, turn in enumerate(turns) if turn.author not in learned), len(turns))
    return next((at + 1 for at in range(len(turns) - 1, asked, -1) if turns[at].author in learned), 0)


def cut(tokens: Sequence[int], replies: Sequence[bool], most: int) -> list[range]:
    """Parts of a conversation, each of at most so many tokens, and each ending in a reply to somebody.

    `replies[i]` says whether turn i is by whoever is learned. Cuts are between turns. What stands between a
    cut and the next reply, and is too much, is left out from the beginning; but a reply keeps the turn
    before it, and a turn that is too long for itself stays whole.
    """
    parts: list[range] = []
    start, end = 0, 0  # of the part that is being made: its first turn, and the one after its last reply
    size, asked = 0, -1  # its tokens so far; the newest turn that asks for a reply
    for at, length in enumerate(tokens):
        if size + length > most and at > start:
            if end > start:
                parts.append(range(start, end))
                size -= sum(tokens[start:end])
                start = end
            while start < at - 1 and size + length > most:
                size -= tokens[start]
                start += 1
        size += length
        if not replies[at]:
            asked = at
        elif asked >= start:
            end = at + 1
    if end > start:
        parts.append(range(start, end))
    return parts


def contexts(replies: Sequence[bool], length: int, window: int) -> Iterator[tuple[int, ...]]:
    """Examples as mimicbot makes them: each reply after each ordered choice of `length` turns of `window`.

    The turns are the last ones before the reply; where there are fewer than `length`, all of them. At most
    `CHOICES_MOST` for a reply, the nearest turns first. Each yields the turns of an example, the reply last.
    """
    for at, is_reply in enumerate(replies):
        before = range(at - 1, max(-1, at - 1 - window), -1)  # the nearest first
        if not is_reply or not before:
            continue
        chosen = combinations(before, min(length, len(before)))
        asking = (choice for choice in chosen if not all(replies[turn] for turn in choice))
        for choice in islice(asking, CHOICES_MOST):
            yield (*reversed(choice), at)


def _turn(run: Sequence[Message]) -> Spoken:
    first, last = run[0], run[-1]
    text = first.text if len(run) == 1 else "\n".join([message.text for message in run])
    return Spoken(first.author, text, len(run), first.source, first.at, last.at)
