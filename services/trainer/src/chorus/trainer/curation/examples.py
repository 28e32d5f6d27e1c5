"""Conversations as examples: whose replies are learned, what stands before them, how much fits.

In an example whoever is learned is the assistant, and everybody else a user; several users have names.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.card import NOBODY_ANSWERED, SITUATIONAL, TOO_FAR, Contents, Tally
from chorus.trainer.curation.personal import replace
from chorus.trainer.curation.records import Message, ReadTurn
from chorus.trainer.curation.situational import is_situational
from chorus.trainer.curation.speakers import Speakers
from chorus.trainer.curation.stored import Learned
from chorus.trainer.curation.tokens import TokenCounter
from chorus.trainer.curation.turns import Spoken, after_last_reply, answerer, contexts, cut, turns_of

TURNS_AT_ONCE = 4096  # whose tokens are counted in one call
CONTEXT_LOOKED_AT = 8  # turns before a reply that may say which day it speaks of
EXAMPLES_MOST = 1_000_000  # of choices of context, which multiply


@dataclass(frozen=True)
class Making:
    """What examples are made with, and where it is noted what became of each message."""

    options: BuildOptions
    label: bool
    contributor: str
    speakers: Speakers
    counter: TokenCounter
    tally: Tally
    contents: Contents


class Made(NamedTuple):
    """An example, its tokens, and the number of the conversation that it is of."""

    example: Learned
    tokens: int
    conversation: int


class _Talk(NamedTuple):
    """A conversation from its first turn to its last reply."""

    turns: list[Spoken]
    learned: Collection[str]
    """Whose replies are learned: authors."""
    names: Mapping[str, str]
    """Of the others, by author; none are needed where there is only one."""
    number: int


def of_chats(conversations: Iterable[Sequence[Message]], making: Making, *, first: int) -> Iterator[Made]:
    """Examples of what people said to each other; conversations are numbered from `first` on."""
    counter = making.counter
    for talks, tokens in counter.ahead(_some(_talks(enumerate(conversations, first), making)), _texts):
        counted = iter(tokens)
        for talk in talks:
            for turn in talk.turns:
                name = talk.names.get(turn.author)
                turn.tokens = next(counted) + counter.per_turn + counter.of_name(name or "")
            yield from _chosen(talk, making) if making.options.context_length else _whole(talk, making)


# --- from a conversation to its turns ------------------------------------------------------------
def _talks(conversations: Iterable[tuple[int, Sequence[Message]]], making: Making) -> Iterator[_Talk]:
    """Those in which somebody answers who is learned; the ends that nobody answers are cut off."""
    options, tally, targets = making.options, making.tally, making.speakers.targets
    nobody = f"not in a conversation with {in_short(options.target)}" if options.target else NOBODY_ANSWERED
    for number, conversation in conversations:
        turns = turns_of(conversation, options.merge_minutes)
        learned = targets or {answerer(turns)}
        end = after_last_reply(turns, learned)
        tally.drop(NOBODY_ANSWERED if end else nobody, _messages(turns[end:]))
        turns = turns[:end]
        if options.personal_data == "replace":
            for turn in turns:
                turn.content = replace(turn.content, making.contents.replaced)
        _mark_situational(turns, learned)
        if options.situational == "drop":
            turns = _timeless(turns, learned, tally)
        if turns:
            yield _Talk(turns, learned, _names(turns, learned, making.speakers.names), number)


def _names(turns: Sequence[Spoken], learned: Collection[str], names: Mapping[str, str]) -> Mapping[str, str]:
    """What the others are called. Who is alone with the model is not named when they ask it, either."""
    others = {turn.author for turn in turns}.difference(learned)
    return {author: names[author] for author in others} if len(others) > 1 else {}


def _mark_situational(turns: Sequence[Spoken], learned: Collection[str]) -> None:
    contents = [turn.content for turn in turns]
    for at, turn in enumerate(turns):
        if at and turn.author in learned:
            turn.situational = is_situational(turn.content, contents[max(0, at - CONTEXT_LOOKED_AT) : at])


def _timeless(turns: Sequence[Spoken], learned: Collection[str], tally: Tally) -> list[Spoken]:
    """Without the replies that hang on a day or a place: they alone go, not all that was said around them."""
    tally.drop(SITUATIONAL, _messages([turn for turn in turns if turn.situational]))
    left = [turn for turn in turns if not turn.situational]
    end = after_last_reply(left, learned)
    tally.drop(NOBODY_ANSWERED, _messages(left[end:]))
    return left[:end]


def _some(talks: Iterable[_Talk]) -> Iterator[list[_Talk]]:
    """Talks in lists of about as many turns as are counted at once."""
    some: list[_Talk] = []
    turns = 0
    for talk in talks:
        some.append(talk)
        turns += len(talk.turns)
        if turns >= TURNS_AT_ONCE:
            yield some
            some, turns = [], 0
    if some:
        yield some


def _texts(talks: Sequence[_Talk]) -> list[str]:
    return [turn.content for talk in talks for turn in talk.turns]


def _messages(turns: Sequence[Spoken]) -> int:
    return sum([turn.messages for turn in turns])


# --- from turns to examples ----------------------------------------------------------------------
def _whole(talk: _Talk, making: Making) -> Iterator[Made]:
    """The conversation in as few parts as its length allows."""
    turns, learned = talk.turns, talk.learned
    replies = [turn.author in learned for turn in turns]
    room = making.options.max_tokens - making.counter.per_example
    end = 0
    for part in cut([turn.tokens for turn in turns], replies, room):
        making.tally.drop(TOO_FAR, _messages(turns[end : part.start]))
        end = part.stop
        said = turns[part.start : part.stop]
        _note(said, talk, making)
        yield _made(said, talk, making)
    making.tally.drop(TOO_FAR, _messages(turns[end:]))


def _chosen(talk: _Talk, making: Making) -> Iterator[Made]:
    """Each reply after several choices of what was said before it: more examples of little data."""
    turns, learned = talk.turns, talk.learned
    options = making.options
    replies = [turn.author in learned for turn in turns]
    length = options.context_length or 1
    used: set[int] = set()
    for choice in contexts(replies, length, max(length, options.context_window or length)):
        said = [turns[at] for at in choice]
        if len(said) > 2 and sum(turn.tokens for turn in said) > options.max_tokens:
            continue
        used.update(choice)
        if making.contents.examples >= EXAMPLES_MOST:
            raise InvalidInput(
                f"These choices of context make more than {EXAMPLES_MOST:,} examples. They are meant for "
                "little data: give a smaller `context_window`, or none.",
                code="too_many_examples",
                param="context_window",
            )
        yield _made(said, talk, making)
    if used:
        _note([turns[at] for at in sorted(used)], talk, making)
    making.tally.drop(TOO_FAR, _messages([turn for at, turn in enumerate(turns) if at not in used]))


def _made(said: Sequence[Spoken], talk: _Talk, making: Making) -> Made:
    example = Learned(
        messages=[
            ReadTurn("assistant", turn.content)
            if turn.author in talk.learned
            else ReadTurn("user", turn.content, talk.names.get(turn.author))
            for turn in said
        ],
        label=making.label,
        contributors=list(dict.fromkeys([turn.author for turn in said])),
        source=said[-1].source,
        situational=any(turn.situational for turn in said),
    )
    tokens = sum([turn.tokens for turn in said]) + making.counter.per_example
    return Made(example, tokens, talk.number)


def _note(said: Sequence[Spoken], talk: _Talk, making: Making) -> None:
    """These turns are in an example."""
    contents = making.contents
    for turn in said:
        contents.said[turn.author] += turn.messages
        making.tally.kept += turn.messages
        if turn.author in talk.learned:
            contents.learned.add(turn.author)
    contents.span(said[0].first_at, said[-1].last_at)
