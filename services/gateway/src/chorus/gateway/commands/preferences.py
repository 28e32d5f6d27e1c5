"""From what people found of an answer to examples to learn from. Pure.

    a correction     the same words answered as they should be: wanted; and as they were: not wanted
    more 👎 than 👍   the answer is not wanted
    more 👍 than 👎   the answer is wanted

Whose words it was asked with, and who gave the correction, stand on the example as its contributors: consent
and deletion follow them. What a model wrote is nobody's words.
"""

from collections.abc import Iterable, Sequence

from chorus.common.contracts.datasets import Example, Turn
from chorus.common.contracts.feedback import Opinion, ReplyRecord

SOURCE = "feedback"


def examples(reply: ReplyRecord, opinions: Sequence[Opinion]) -> list[Example]:
    """What can be learned from these opinions of one answer; nothing from words alone."""
    better = {one.correction: one.by for one in opinions if one.correction}
    if better:
        made = [_example(reply, text, label=True, by=[by]) for text, by in better.items()]
        return made if reply.text.strip() in better else [*made, *_as_it_was(reply, label=False)]
    votes = [one.vote for one in opinions]
    balance = votes.count("up") - votes.count("down")
    return list(_as_it_was(reply, label=balance > 0)) if balance else []


def not_the_answer(reply: ReplyRecord, made: Iterable[Example]) -> list[Example]:
    """Of these what people wrote in the answer's place, and nothing that the model said."""
    return [one for one in made if one.messages[-1].content.strip() != reply.text.strip()]


def _as_it_was(reply: ReplyRecord, *, label: bool) -> Iterable[Example]:
    if reply.text.strip():
        yield _example(reply, reply.text, label=label)


def _example(reply: ReplyRecord, text: str, *, label: bool, by: Sequence[str] = ()) -> Example:
    return Example(
        messages=[*reply.messages, Turn(role="assistant", content=text)],
        label=label,
        contributors=sorted({*reply.people, *by}),
        source=SOURCE,
    )
