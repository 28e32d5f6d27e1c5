"""What the three formats of DiscordChatExporter have in common.

Read from its writers (April 2024 to March 2026), and from the plain text writer of 2020.
"""

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from chorus.trainer.curation.records import EMPTY, Dropped
from chorus.trainer.curation.source import Source

LONGEST_TEXT = 32_000
"""Characters. Discord takes 4,000; names in the place of ids make a text longer, but not eight times."""

FORWARDED = Dropped("forwarded message")
"""Somebody else's words, said elsewhere: who said them is not written."""

_NOTICES = re.compile(
    r"Added .{1,100} to the group\.|Added a recipient\.|Left the group\.|Removed .{1,100} from the group\."
    r"|Removed a recipient\.|Started a call that lasted -?[\d,]{1,12} minutes\."
    r"|Changed the channel name(?:: .{1,200}|\.)|Changed the channel icon\.|Pinned a message\."
    r"|Started a thread\.|Joined the server\."
)
_CHANNEL_ID = re.compile(r"\[(\d{15,20})\]")
_PART = re.compile(r" \[part \d+\]$")


def unusable(text: str, source: Source, number: int) -> Dropped | None:
    """Why nobody can learn from a file's message of this number, if so."""
    if not text or text.isspace():
        return EMPTY
    if len(text) > LONGEST_TEXT:
        return Dropped(
            "too long",
            mend=f"{source.name}, message {number} has {len(text):,} characters; {LONGEST_TEXT:,} are read.",
        )
    if "\x00" in text:
        return Dropped("not text", mend=f"{source.name}, message {number} has a NUL character.")
    return None


def is_notice(text: str) -> bool:
    """Whether these are the exporter's words for what somebody did: some formats do not tell otherwise."""
    return _NOTICES.fullmatch(text) is not None


def file_names(urls: list[str]) -> tuple[str, ...]:
    """What attachments are called, by their URLs, or by their paths where they were downloaded."""
    return tuple(PurePosixPath(unquote(_path(url).replace("\\", "/"))).name for url in urls if url)


def channel_of(source: Source) -> str:
    """The channel's id, which is in a file's usual name: `Guild - Category - channel [id] [part 2].csv`."""
    if found := _CHANNEL_ID.findall(source.name):
        return found[-1]
    return _PART.sub("", PurePosixPath(source.name).stem)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # brackets that close too early, say
        return url
