"""What of a message is worth saying aloud. Pure.

A voice that spells out code, addresses, ids, stars and little pictures helps nobody: they are left out.
"""

import re
import unicodedata

from chorus.common.errors import InvalidInput, TooLarge

LOOKED_AT = 20_000  # characters of a text that may be cut
QUOTES = str.maketrans("‘’“”–—", "''\"\"--")

REPLACED = [
    (re.compile(r"```.*?(?:```|$)", re.DOTALL), " "),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (re.compile(r"<a?:\w+:\d+>"), " "),  # a server's own emoji
    (re.compile(r"<(?:@[!&]?|#|/[^<>:]{1,200}:|id:)\w+>"), " "),  # people, roles, channels, commands
    (re.compile(r"<t:-?\d+(?::\w)?>"), " "),
    (re.compile(r"\[([^\[\]\n]*)\]\(<?https?://(?:[^\s<>()]|\([^\s<>()]*\))*>?\)"), r"\1"),
    (re.compile(r"<?\bhttps?://[^\s<>]+>?"), " "),
    (re.compile(r"\|\|.*?\|\|", re.DOTALL), " hidden "),
    (re.compile(r"^\s*(?:>+|#{1,3}|-#|[-*])\s+", re.MULTILINE), ""),
    (re.compile(r"\*+|~~|__"), ""),
    (re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d\u20e3]+"), " "),  # emoji
]
"""Discord's marks, in the order in which they are looked for; each takes time linear in the text."""

SENTENCE_ENDS = re.compile(
    r"(?<=[.!?…])(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)[\"'”’)\]]*\s+|(?<=[。！？])|\n"
)
"""Also where a line does; a title, or an initial, ends none."""


def spoken_form(text: str, *, most: int, cut: bool = False) -> str:
    """The text as it is spoken, each of its lines in one.

    Beyond `most` characters, `TooLarge` is raised, or it is `cut` where a sentence ends.
    Raises `InvalidInput` where no words are left.
    """
    if len(text) > most and not cut:
        raise TooLarge(
            f"The text has {len(text)} characters; at most {most} are spoken at once. Say it in parts.",
            code="text_too_long",
            param="text",
        )
    text = text[: max(most, LOOKED_AT)]
    for pattern, replacement in REPLACED:
        text = pattern.sub(replacement, text)
    lines = (" ".join(_printed(line).split()) for line in text.splitlines())
    text = "\n".join(filter(has_words, lines))
    if not text:
        raise nothing_to_say()
    return _begun(text, most) if cut else text


def _printed(line: str) -> str:
    return "".join(char if unicodedata.category(char)[0] != "C" else " " for char in line)


def _begun(text: str, most: int) -> str:
    """At most so many characters of it: whole sentences, or words where the first sentence is as long."""
    if len(text) <= most:
        return text
    begins = text[: most + 1]
    ends = [end.end() for end in SENTENCE_ENDS.finditer(begins) if end.start() <= most]
    at = ends[-1] if ends else begins.rfind(" ")
    return begins[: at if at > 0 else most].strip()


def in_ascii(text: str) -> str:
    """The text in ASCII; what has no letters there is left out."""
    return unicodedata.normalize("NFKD", text.translate(QUOTES)).encode("ascii", "ignore").decode()


def loses_letters(text: str) -> bool:
    """Whether a word, or a part of one, cannot be written in ASCII."""
    return any(char.isalnum() and not in_ascii(char) for char in text)


def has_words(text: str) -> bool:
    """Whether there is more in it than marks and spaces."""
    return any(unicodedata.category(char)[0] in "LNS" for char in text)


def nothing_to_say() -> InvalidInput:
    """The error for a text without anything that can be spoken."""
    return InvalidInput(
        "There is nothing to say: the text has no words. Give some.", code="nothing_to_say", param="text"
    )


def too_long_to_say(most: float) -> TooLarge:
    """The error for a text that takes longer than it may, in seconds."""
    return TooLarge(
        f"This would take longer than {most:.0f} s to say. Say it in parts.",
        code="speech_too_long",
        param="text",
    )
