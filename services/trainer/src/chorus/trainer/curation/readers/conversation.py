"""What makes a conversation that is read as it stands fit to learn from."""

import re
from collections.abc import Sequence

from chorus.trainer.curation.records import Dropped, Read, ReadTurn

_HALVES = re.compile("[\ud800-\udfff]")  # what is left of an emoji that a program has cut through


def conversation(
    turns: Sequence[ReadTurn],
    where: str,
    source: str,
    label: bool | None = None,
    authors: Sequence[str] = (),
) -> Read | Dropped:
    """The turns up to the last reply, if there is anything to learn from them."""
    last = max((at for at, turn in enumerate(turns, 1) if turn.role == "assistant"), default=0)
    turns = list(turns[:last])
    if not turns:
        return Dropped("no reply to learn")
    if any(not turn.content.strip() for turn in turns):
        return Dropped("empty message")
    if any(has_half_a_character(f"{turn.name}{turn.content}") for turn in turns):
        return half_a_character(where)
    return Read(turns, label=label, source=source, authors=tuple(authors))


def has_half_a_character(text: str) -> bool:
    """Whether one of a pair of surrogates stands alone: nothing can encode it."""
    return bool(_HALVES.search(text))


def half_a_character(where: str) -> Dropped:
    """What stands for an entry with such a half."""
    return Dropped(
        "half a character", f"{where} has half a character (\\ud800 to \\udfff alone), and is left out."
    )
