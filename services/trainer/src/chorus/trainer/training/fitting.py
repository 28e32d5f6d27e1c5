"""Examples within the limit of tokens. Pure."""

import math
from collections.abc import Iterable

from chorus.common.chat import Tokens

PlainText = bool
"""Whether an example is text that stands for itself, and no conversation."""


def fitted(examples: Iterable[tuple[Tokens, PlainText]], most: int) -> tuple[list[Tokens], int]:
    """Examples of at most `most` tokens each, and how many conversations had to be shortened for it.

    Plain text is cut into pieces, and nothing of it is lost. Of a long conversation the beginning is left
    out: the last reply stays.
    """
    fitting: list[Tokens] = []
    shortened = 0
    for tokens, plain in examples:
        if plain:
            fitting += _pieces(tokens, most)
            continue
        shortened += len(tokens.ids) > most
        fitting.append(Tokens(tokens.ids[-most:], tokens.learn[-most:]))
    return fitting, shortened


def _pieces(tokens: Tokens, most: int) -> list[Tokens]:
    """Pieces of about one length. Each begins with the last token of the one before.

    That token is what the next one is learned after: an example's first token is never learned itself.
    """
    new = len(tokens.ids) - 1
    pieces = max(1, math.ceil(new / (most - 1)))
    size = max(1, math.ceil(new / pieces))
    starts = range(0, max(1, new), size)
    return [Tokens(tokens.ids[at : at + size + 1], tokens.learn[at : at + size + 1]) for at in starts]
