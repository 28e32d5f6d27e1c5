"""Words of one person alone, as Discord's data package has them.

There is nobody to answer, so no reply to learn. What is said at once is learned as text, as it stands.
"""

from collections.abc import Iterable, Iterator, Sequence

from chorus.trainer.curation.examples import Made, Making
from chorus.trainer.curation.gather import batched
from chorus.trainer.curation.personal import replace
from chorus.trainer.curation.records import Message, ReadTurn
from chorus.trainer.curation.stored import Learned
from chorus.trainer.curation.turns import Spoken, turns_of


def of_monologues(
    conversations: Iterable[Sequence[Message]], making: Making, *, first: int
) -> Iterator[Made]:
    """An example of each turn; conversations are numbered from `first` on."""
    making.contents.alone = True
    turns = (
        (number, turn)
        for number, conversation in enumerate(conversations, first)
        for turn in turns_of(conversation, making.options.merge_minutes)
    )
    for batch, tokens in making.counter.ahead(batched(turns), lambda some: [t.content for _, t in some]):
        for (number, turn), size in zip(batch, tokens, strict=True):
            yield Made(_example(turn, making), size + 1, number)  # and the token that ends it


def _example(turn: Spoken, making: Making) -> Learned:
    contents = making.contents
    contents.said[turn.author] += turn.messages
    contents.span(turn.first_at, turn.last_at)
    making.tally.kept += turn.messages
    text = turn.content
    if making.options.personal_data == "replace":
        text = replace(text, contents.replaced)
    return Learned([ReadTurn("assistant", text)], making.label, [turn.author], turn.source)
