"""What people should know of the files that they sent, once these are read: for the card's warnings."""

from collections.abc import Collection, Mapping
from typing import Literal

Part = Literal["channel", "thread"]

MEDIA = "files of an export"
"""Pictures and the like that `--media` saves beside an export."""
NOT_NEEDED = "files that are not needed"
"""Of a folder that a reader knows: settings, lists, indexes."""
_EXPECTED = {MEDIA, NOT_NEEDED}
_KINDS_SHOWN = 5

_JSON, _CSV, _TXT = (f"DiscordChatExporter {ending}" for ending in ("JSON", "CSV", "TXT"))


def notes_on(formats: Collection[str], passed_over: Mapping[str, int], parts: Collection[Part]) -> list[str]:
    """Whole sentences. `parts` says what kinds of channels the exports are of, where they tell."""
    notes: list[str] = []
    unread = {looks: count for looks, count in passed_over.items() if looks not in _EXPECTED}
    if unread:
        count = sum(unread.values())
        files = "1 file in a ZIP was" if count == 1 else f"{count:,} files in ZIPs were"
        notes.append(f"{files} not read: {in_words(unread)}.")
    if "channel" in parts and "thread" not in parts:
        notes.append(
            "no threads are in this export: DiscordChatExporter leaves them out unless told "
            "`--include-threads`."
        )
    if _TXT in formats and (_JSON in formats or _CSV in formats):
        notes.append(
            "exports as TXT and in another format are read together: a channel that is in both counts twice, "
            "for TXT has neither ids nor seconds."
        )
    return notes


def in_words(passed_over: Mapping[str, int]) -> str:
    """What was not read, the commonest first: `a PDF (2), a picture (1)`."""
    commonest = sorted(passed_over.items(), key=lambda item: -item[1])
    return ", ".join(f"{looks} ({count})" for looks, count in commonest[:_KINDS_SHOWN])
