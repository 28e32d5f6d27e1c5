"""What people are called in a chat by their own names: as models learn it, and as they are asked."""

import re
from collections.abc import Mapping

SOMEONE = "someone"
"""Who is mentioned and did not speak, or has no name."""
LONGEST_NAME = 32
"""Characters; Discord's own limit."""


def real_names(called: Mapping[str, str]) -> dict[str, str]:
    """Speakers' names by their ids: on one line and without a colon, which ends a name; each name once."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for person, text in called.items():
        name = " ".join(re.sub(r"[:\x00-\x1f\x7f]", " ", text).split())[:LONGEST_NAME] or SOMEONE
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name} ({number})"
        taken.add(unique)
        names[person] = unique
    return names
