"""Long text in messages that Discord takes, with code blocks whole in each.

Every ``` opens or closes a block there, wherever it stands. A block that goes over a cut is closed before
it, and opened again after it in its language.
"""

import re

LIMIT = 2000  # characters in one message

FENCE = "```"
CLOSE = f"\n{FENCE}"
_LANGUAGE = re.compile(r"[A-Za-z0-9_+.#-]{1,20}(?=\n)")
_BARE_OPENER = re.compile(rf"{FENCE}[A-Za-z0-9_+.#-]*\s*$")


def split(text: str, limit: int = LIMIT) -> list[str]:
    """The text in order, in pieces of at most `limit` characters. Text that grows keeps its cuts."""
    pieces: list[str] = []
    opener, rest = "", text.strip()
    while len(last := closed(opener + rest)) > limit:
        at = _cut(opener, rest, limit - len(opener) - len(CLOSE))
        piece = opener + rest[:at]
        opener, rest = _opener(piece), rest[at:]
        pieces.append(piece + CLOSE if opener else piece.rstrip())
        if opener and rest.lstrip().startswith(FENCE):  # the block ends just here
            opener, rest = "", rest.lstrip().removeprefix(FENCE)
        rest = rest.removeprefix("\n") if opener else rest.lstrip()
    return [piece for piece in (*pieces, last) if piece.strip("` \n")]


def _cut(opener: str, text: str, room: int) -> int:
    """Where to end a piece: after a paragraph, a line or a word in the second half of what fits."""
    window = text[: room + 1]
    found = (window.rfind(mark, room // 2) for mark in ("\n\n", "\n", " "))
    at = next((place for place in found if place > 0), room)
    marks = len(window[:at]) - len(window[:at].rstrip("`"))
    if text[at : at + 1] == "`" and 0 < marks < at:
        at -= marks  # never inside of ```
    bare = _BARE_OPENER.search(text, 0, at)
    if bare and bare.start() > 0 and _opener(opener + text[:at]):
        at = bare.start()  # an opener goes with its block
    return at


def closed(text: str) -> str:
    """The text, with its code block closed if one is open."""
    return text.removesuffix("\n") + CLOSE if _opener(text) else text


def _opener(text: str) -> str:
    """What opens the code block again in which the text ends, if it ends in one."""
    parts = text.split(FENCE)
    if len(parts) % 2:
        return ""
    language = _LANGUAGE.match(parts[-1])
    return f"{FENCE}{language[0] if language else ''}\n"
