"""What of a message is worth saying aloud. Pure.

A voice that spells out code, addresses, ids, stars and little pictures helps nobody: they are left out.
"""

import re
import unicodedata

from chorus.common.errors import InvalidInput, TooLarge

REPLACED = [
    (re.compile(r"```.*?(?:```|$)", re.DOTALL), " "),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (re.compile(r"<a?:\w+:\d+>"), " "),  # a server's own emoji
    (re.compile(r"<(?:@[!&]?|#|/[^<>:]{1,200}:|id:)\w+>"), " "),  # people, roles, channels, commands
    (re.compile(r"<t:-?\d+(?::\w)?>"), " "),
    (re.compile(r"\[([^\[\]\n]*)\]\(<?https?://[^\s<>()]*>?\)"), r"\1"),
    (re.compile(r"<?\bhttps?://[^\s<>]+>?"), " "),
    (re.compile(r"\|\|.*?\|\|", re.DOTALL), " hidden "),
    (re.compile(r"^\s*(?:>+|#{1,3}|-#|[-*])\s+", re.MULTILINE), ""),
    (re.compile(r"\*+|~~|__"), ""),
    (re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d\u20e3]+"), " "),  # emoji
]
"""Discord's marks, in the order in which they are looked for; each takes time linear in the text."""


def spoken_form(text: str, *, most: int) -> str:
    """The text as it is spoken.

    Raises `TooLarge` beyond `most` characters, `InvalidInput` where no words are left.
    """
    if len(text) > most:
        raise TooLarge(
            f"The text has {len(text)} characters; at most {most} are spoken at once. Say it in parts.",
            code="text_too_long",
            param="text",
        )
    for pattern, replacement in REPLACED:
        text = pattern.sub(replacement, text)
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    text = " ".join(text.split())
    if not has_words(text):
        raise nothing_to_say()
    return text


def has_words(text: str) -> bool:
    """Whether there is more in it than marks and spaces."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text)


def nothing_to_say() -> InvalidInput:
    """The error for a text without anything that can be spoken."""
    return InvalidInput(
        "There is nothing to say: the text has no words. Give some.", code="nothing_to_say", param="text"
    )
