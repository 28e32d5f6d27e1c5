"""Pieces of a text that belong together, whatever stands in them: code fences and JSON."""

import json
import re

FENCE = "```"
_BEGINS_JSON = re.compile(r"\[\s*\{|\{\s*[\"'“]")
_FENCED = re.compile(rf"{FENCE}(?:\w*[ ]*\n|json[l5]?\b)?(.*?)(?:{FENCE})?", re.DOTALL | re.IGNORECASE)
_DECODER = json.JSONDecoder()


def end_of_block(text: str, start: int) -> int:
    """Where the code fence or the JSON ends that begins at `start`; `start` where neither does.

    JSON that is broken ends at its last bracket: what is wrong with it is for its reader to say.
    """
    if text.startswith(FENCE, start):
        end = text.find(FENCE, start + len(FENCE))
        return end + len(FENCE) if end >= 0 else len(text)
    if not (begins := _BEGINS_JSON.match(text, start)):
        return start
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        last = text.rfind("]" if begins[0].startswith("[") else "}", start)
        return max(last + 1, start)


def unfenced(text: str) -> str:
    """What stands in a code fence, a short one too; other text as it is."""
    stripped = text.strip()
    if found := _FENCED.fullmatch(stripped):
        return found[1].strip()
    return stripped[1:-1].strip() if len(stripped) > 1 and stripped[0] == stripped[-1] == "`" else stripped
