"""Which examples are kept aside to check against: the newest conversations, whole.

By time, for a model is asked about tomorrow and not about a random day of last year; by whole
conversations, for half of one tells how the other half goes on. Pure.
"""

from collections.abc import Sequence
from itertools import groupby

HELD_OUT_FROM = 100  # examples; of less each one counts more in learning than in checking
HELD_OUT_SHARE = 0.05
HELD_OUT_MOST = 256  # examples: a loss over more of them is no steadier, and takes its time
SPENT_MOST = 0.2  # of all examples, where the newest conversation is a long one


def wanted_aside(examples: int) -> int:
    """About how many of so many examples are kept aside."""
    if examples < HELD_OUT_FROM:
        return 0
    return min(max(1, round(examples * HELD_OUT_SHARE)), HELD_OUT_MOST)


def taught(conversations: Sequence[int]) -> int:
    """How many examples, from the first one on, are learned; those after them are kept aside.

    `conversations` has the number of each example's conversation, in the order of time. As many whole
    conversations are kept aside as fit into what is wanted; if not even the newest one fits, it alone,
    unless it is more than a fifth of all there is.
    """
    total = len(conversations)
    wanted = wanted_aside(total)
    aside = 0
    for _, group in groupby(reversed(conversations)):
        size = sum(1 for _ in group)
        if aside + size > wanted:
            if not aside and wanted and size <= total * SPENT_MOST:
                aside = size
            break
        aside += size
    return total - aside
