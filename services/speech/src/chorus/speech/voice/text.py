"""What of a message is worth saying aloud. Pure.

A voice that spells out addresses, ids and stars helps nobody: they are replaced by what a person would
say, or left out.
"""

import re
import unicodedata

from chorus.common.errors import InvalidInput, TooLarge

REPLACED = [
    (re.compile(r"```.*?(?:```|$)", re.DOTALL), " code "),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (re.compile(r"<a?:(\w+):\d+>"), r" \1 "),  # a server's own emoji, by its name
    (re.compile(r"<@[!&]?\d+>"), " somebody "),
    (re.compile(r"<#\d+>"), " a channel "),
    (re.compile(r"<t:-?\d+(?::\w)?>"), " a time "),
    (re.compile(r"https?://\S+"), " a link "),
    (re.compile(r"\|\|.*?\|\|", re.DOTALL), " hidden "),
    (re.compile(r"^\s*(?:>+|#{1,3}|[-*])\s+", re.MULTILINE), ""),
    (re.compile(r"\*+|~~|__"), ""),
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
    if not any(unicodedata.category(char)[0] in "LNS" for char in text):
        raise nothing_to_say()
    return text


def nothing_to_say() -> InvalidInput:
    """The error for a text without anything that can be spoken."""
    return InvalidInput(
        "There is nothing to say: the text has no words. Give some.", code="nothing_to_say", param="text"
    )
