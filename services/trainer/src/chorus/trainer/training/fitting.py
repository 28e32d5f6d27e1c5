"""One example within the limit of tokens. Pure."""

import math

from chorus.common.chat import Tokens


def fitted(tokens: Tokens, most: int, *, plain: bool) -> list[Tokens]:
    """The example as pieces of at most `most` tokens each.

    Plain text, which stands for itself, is cut, and nothing of it is lost. Of a long conversation the
    beginning is left out: the last reply stays.
    """
    if plain:
        return _pieces(tokens, most)
    return [Tokens(tokens.ids[-most:], tokens.learn[-most:])]


def _pieces(tokens: Tokens, most: int) -> list[Tokens]:
    """Pieces of about one length. Each begins with the last token of the one before.

    That token is what the next one is learned after: an example's first token is never learned itself.
    """
    new = len(tokens.ids) - 1
    pieces = max(1, math.ceil(new / (most - 1)))
    size = max(1, math.ceil(new / pieces))
    starts = range(0, max(1, new), size)
    return [Tokens(tokens.ids[at : at + size + 1], tokens.learn[at : at + size + 1]) for at in starts]
