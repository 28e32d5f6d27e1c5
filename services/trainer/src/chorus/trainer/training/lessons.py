"""What is learned: examples become lessons, and lessons that belong together a group. Pure.

    a reply that is           sft           kto, apo     dpo
    wanted                    learned       learned      learned
    unwanted                  left out      unlearned    left out
    both, to the same words   as the above  as the above a correction: the one rather than the other

The two lessons of a correction are a group, and lie side by side in one row. What the data keeps aside is
judged by, if it is wanted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar

from chorus.common.chat import Tokenizer, Tokens, example_tokens
from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.hyperparameters import Hyperparameters
from chorus.common.errors import InvalidInput
from chorus.trainer.training.fitting import fitted
from chorus.trainer.training.recipe import Data, Objective, objective_of

Item = TypeVar("Item")

JUDGED_AT_MOST = 512  # lessons: their mean loss is then known to some hundredths of a nat


@dataclass(frozen=True)
class Lesson:
    """One text with the tokens in it that are to be learned, or to be unlearned."""

    tokens: Tokens
    wanted: bool = True


Group = tuple[Lesson, ...]
"""One lesson; or a correction, which is the wanted one and then the unwanted one."""


@dataclass(frozen=True)
class Judged:
    """A wanted lesson by which the model is judged."""

    lesson: Lesson
    turns: Sequence[Turn]
    """The conversation that it is; empty for plain text."""


@dataclass(frozen=True)
class Lessons:
    """All that a training learns, and what it is judged by."""

    groups: list[Group]
    judged: list[Judged]
    """Spread evenly over what was kept aside, or, if nothing was, over what is learned."""
    held_out: bool
    """Whether they were kept aside."""
    data: Data
    objective: Objective
    shortened: int
    """Conversations of which the beginning is left out."""


def lessons_of(tokenizer: Tokenizer, examples: Sequence[Example], wishes: Hyperparameters) -> Lessons:
    """What is to be learned from these examples, for the objective that was wished for or fits them.

    Raises `InvalidInput` with code `only_unwanted`, `no_corrections`, `nothing_unwanted` or
    `nothing_to_learn`.
    """
    found = _sort(examples)
    data = Data([], unwanted=len(found.unwanted), corrections=len(found.corrections))
    objective = objective_of(wishes, data)
    _check(found, objective)
    maker = _Maker(tokenizer, wishes.max_tokens)
    groups = maker.groups(found, objective)
    judged = maker.judged(spread(found.kept_aside or found.wanted, JUDGED_AT_MOST))
    if not groups or not judged:
        raise InvalidInput(
            "Nothing in this data can be learned: no example has a reply to somebody. Add conversations "
            "with replies, or plain text.",
            code="nothing_to_learn",
        )
    lengths = [sum(len(lesson.tokens.ids) for lesson in group) for group in groups]
    return Lessons(
        groups=groups,
        judged=judged,
        held_out=bool(found.kept_aside),
        data=Data(lengths, unwanted=data.unwanted, corrections=data.corrections),
        objective=objective,
        shortened=maker.shortened,
    )


def last_reply(learn: Sequence[bool]) -> int:
    """Where the last reply begins among a chat's tokens; all that is learned of plain text is one reply."""
    end = len(learn)
    while end and not learn[end - 1]:
        end -= 1
    while end and learn[end - 1]:
        end -= 1
    return end


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many, evenly over all of them: the same ones each time."""
    count = min(most, len(items))
    return [items[at * len(items) // count] for at in range(count)]


@dataclass(frozen=True)
class _Sorted:
    """Examples by what they are for."""

    wanted: list[Example]
    """To be learned, those of corrections included."""
    kept_aside: list[Example]
    unwanted: list[Example]
    """Those of corrections included."""
    corrections: list[tuple[Example, Example]]


def _sort(examples: Sequence[Example]) -> _Sorted:
    """Sort examples. A correction is learned even where its wanted half would be kept aside.

    What is wanted here and unwanted there, word for word, is unwanted if there is a better reply to the same
    words: it was corrected. Otherwise it stays wanted.
    """
    refused = {_words(example.messages) for example in examples if not example.label}
    accepted = [e for e in examples if e.label and _words(e.messages) not in refused]
    corrected_words = {_words(example.messages[:-1]) for example in accepted}
    wanted = [
        e
        for e in examples
        if e.label and (_words(e.messages) not in refused or _words(e.messages[:-1]) not in corrected_words)
    ]
    kept = {_words(example.messages) for example in wanted}
    unwanted = [e for e in examples if not e.label and _words(e.messages) not in kept]
    corrections = _corrections(wanted, unwanted)
    corrected = {id(half) for pair in corrections for half in pair}
    kept_aside = [e for e in wanted if e.split == "validation" and id(e) not in corrected]
    aside = {id(example) for example in kept_aside}
    learned = [example for example in wanted if id(example) not in aside]
    if not learned:  # all that is wanted was kept aside
        learned, kept_aside = kept_aside, []
    unwanted = [e for e in unwanted if e.split == "train" or id(e) in corrected]
    return _Sorted(learned, kept_aside, unwanted, corrections)


def _corrections(wanted: Sequence[Example], unwanted: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Each unwanted reply with a wanted one to the same words, in turn if there are several."""
    asked = [_words(example.messages[:-1]) for example in unwanted]
    better: dict[tuple[object, ...], list[Example]] = {words: [] for words in asked if words}
    for example in wanted:
        if (words := _words(example.messages[:-1])) in better:  # plain text, which answers nobody, never is
            better[words].append(example)
    in_turn = {words: cycle(examples) for words, examples in better.items() if examples}
    return [
        (next(in_turn[words]), example)
        for words, example in zip(asked, unwanted, strict=True)
        if words in in_turn
    ]


def _words(turns: Iterable[Turn]) -> tuple[object, ...]:
    return tuple((turn.role, turn.name, turn.content) for turn in turns)


def _check(found: _Sorted, objective: Objective) -> None:
    """Refuse data from which this objective cannot learn."""
    if not found.wanted and found.unwanted:
        raise InvalidInput(
            "All examples are unwanted ones, and from these alone no reply can be learned: add some that are "
            "wanted (positive=True).",
            code="only_unwanted",
        )
    if objective == "dpo" and not found.corrections:
        raise InvalidInput(
            "objective=dpo learns from corrections, and there is none: give the same words once with the "
            "wanted reply (positive=True) and once with the unwanted one (positive=False).",
            code="no_corrections",
            param="objective",
        )
    if objective in ("kto", "apo") and not found.unwanted:
        raise InvalidInput(
            f"objective={objective} learns from unwanted replies too, and there is none: add some "
            "(positive=False), or choose objective=sft.",
            code="nothing_unwanted",
            param="objective",
        )


class _Maker:
    """Makes lessons of examples, and counts the conversations that were too long."""

    def __init__(self, tokenizer: Tokenizer, most: int) -> None:
        self._tokenizer = tokenizer
        self._most = most
        self._too_long: set[int] = set()

    @property
    def shortened(self) -> int:
        """Conversations of which the beginning is left out."""
        return len(self._too_long)

    def groups(self, found: _Sorted, objective: Objective) -> list[Group]:
        """Groups in the order of the data. Of what is judged as a whole, only the last reply is learned.

        What one reply is worth cannot be told from a label of the whole conversation.
        """
        if objective == "sft":
            return [(lesson,) for example in found.wanted for lesson in self._lessons(example)]
        if objective == "dpo":
            corrected = {id(wanted) for wanted, _ in found.corrections}
            others = (example for example in found.wanted if id(example) not in corrected)
            pairs = [(*self._judged_whole(w), *self._judged_whole(u)) for w, u in found.corrections]
            return [pair for pair in pairs if len(pair) == 2] + [
                (lesson,) for example in others for lesson in self._lessons(example)
            ]
        return [
            (lesson,) for example in found.wanted + found.unwanted for lesson in self._judged_whole(example)
        ]

    def judged(self, examples: Iterable[Example]) -> list[Judged]:
        """Wanted lessons to judge by, with every reply in them."""
        return [
            Judged(lesson, [] if _is_plain(example) else example.messages)
            for example in examples
            for lesson in self._lessons(example)
        ][:JUDGED_AT_MOST]

    def _lessons(self, example: Example) -> list[Lesson]:
        """The example's lessons; none where nothing in it is to be learned."""
        whole = example_tokens(self._tokenizer, example.messages)
        plain = _is_plain(example)
        if len(whole.ids) > self._most and not plain:
            self._too_long.add(id(example))
        pieces = fitted(whole, self._most, plain=plain)
        return [Lesson(piece, example.label) for piece in pieces if any(piece.learn[1:])]

    def _judged_whole(self, example: Example) -> list[Lesson]:
        return [Lesson(_last_reply_only(lesson.tokens), lesson.wanted) for lesson in self._lessons(example)]


def _is_plain(example: Example) -> bool:
    return len(example.messages) == 1


def _last_reply_only(tokens: Tokens) -> Tokens:
    start = last_reply(tokens.learn)
    return Tokens(tokens.ids, [False] * start + tokens.learn[start:])
