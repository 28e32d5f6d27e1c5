"""What a file that begins like JSON holds, told by its first 64 KiB, which mostly end within an entry."""

import json
import re
from dataclasses import dataclass

from chorus.common.errors import in_short
from chorus.trainer.curation.source import HEAD

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],]', re.DOTALL)
_OBJECT = re.compile(r"""\{\s*(?:["'}]|$)""")  # but no `{{Infobox`, no `{name} was here`
_LIST = re.compile(r"\[\s*(?:[{\[]|\]?\s*$)")  # but no `[12:05] mira: hello`, no `[ ] buy milk`
_KEYS_SHOWN = 4


@dataclass(frozen=True)
class JsonStart:
    """How a JSON text begins: with an object or a list, and which keys its first object has."""

    is_list: bool
    entry: str
    """The sign that the object, or the list's first entry, begins with; none in an empty list."""
    keys: tuple[str, ...]
    is_whole: bool
    """Whether these are all keys; otherwise the object goes on."""

    @property
    def is_of_objects(self) -> bool:
        """Whether it may be JSON lines or a list of entries."""
        return self.entry == "{"

    def __str__(self) -> str:
        """For people: what it looks like."""
        shown = ", ".join(f'"{in_short(key)}"' for key in self.keys[:_KEYS_SHOWN]) or "no fields"
        if not self.entry:
            return "an empty JSON list"
        if not self.is_of_objects:
            return "a JSON list of something else than objects"
        return f"a JSON list of objects with {shown}" if self.is_list else f"JSON objects with {shown}"


def json_start(head: str) -> JsonStart | None:
    """How the text begins, or None where it is not meant as JSON."""
    text = head.strip()
    is_list = bool(_LIST.match(text)) or _is_a_small_list(text)
    if not is_list and not _OBJECT.match(text):
        return None
    first = text[1:].lstrip().removeprefix("]") if is_list else text
    keys, is_whole = _keys(first)
    return JsonStart(is_list, first[:1], keys, is_whole)


def _is_a_small_list(text: str) -> bool:
    if not text.startswith("[") or len(text) >= HEAD:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _keys(text: str) -> tuple[tuple[str, ...], bool]:
    """Keys of the object that begins the text, as far as it goes, and whether it ends there."""
    keys: list[str] = []
    depth, before_key = 0, False
    for token in _TOKEN.finditer(text if text.startswith("{") else ""):
        sign = token[0][0]
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
        elif sign == '"' and before_key:
            keys.append(_unescaped(token[0]))
        before_key = depth == 1 and sign in "{,"
        if not depth:
            return tuple(keys), True
    return tuple(keys), False


def _unescaped(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        return token.strip('"')
