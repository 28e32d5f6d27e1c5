"""DiscordChatExporter's TXT: made to be read by people, and still the export that most people have.

It has no ids, no replies and no time zone: authors are names, times are taken as UTC. Below a message's text
stand blocks that are nobody's words: attachments, embeds, stickers, reactions. They are told by their names,
an empty line before them, and by their order; text of a person's that merely looks like one stays text.
"""

import re
from collections.abc import Iterator

from chorus.common.contracts.datasets import BuildOptions
from chorus.trainer.curation.readers.discord_dates import ORDERS
from chorus.trainer.curation.readers.discord_export import (
    FORWARDED,
    channel_of,
    file_names,
    is_notice,
    unusable,
)
from chorus.trainer.curation.readers.discord_headers import REACTIONS, lines_below, plan
from chorus.trainer.curation.readers.reader import Reader, cut_off
from chorus.trainer.curation.records import (
    EMPTY,
    NOTICE,
    Dropped,
    Message,
    Record,
    account_name,
    author_by_name,
)
from chorus.trainer.curation.source import LONGEST_LINE, Source

LONGEST_BODY = LONGEST_LINE  # characters of a message with all its embeds; what is more is not kept

_FORWARDED, _ATTACHMENTS, _EMBED, _STICKERS = "{Forwarded Message}", "{Attachments}", "{Embed}", "{Stickers}"
_BLOCKS = (_FORWARDED, _ATTACHMENTS, _EMBED, _STICKERS, REACTIONS)
"""In the order in which the exporter writes them."""
_START = re.compile(r"\s*={62}\r?\nGuild: .*\r?\nChannel: ")
_CHANNEL = re.compile(r"^Channel: (.*)", re.MULTILINE)


def fits(head: str) -> bool:
    """A rule, the guild, the channel."""
    return _START.match(head) is not None


def read(source: Source, options: BuildOptions) -> Iterator[Record]:
    """The messages of one channel."""
    how = plan(source, options.locale)
    headers, which = iter(how.headers), ORDERS.index(how.order)
    channel, number = _channel(source), 0
    body: _Body | None = None
    for line in lines_below(source):
        if line.stamp and next(headers):
            if body:
                yield body.record(source, channel, number)
            body, number = _Body(line.name, line.stamp.times[which]), number + 1
        elif body:
            body.add(line.text)
    if how.announced is None:
        if body and body.has_ended(spaced=how.spaced):
            yield body.record(source, channel, number)
        yield cut_off(source)
        return
    if body:
        body.drop_footer()
        yield body.record(source, channel, number)
    if how.announced > number:
        yield Dropped(
            "missing",
            mend=f"{source.name} says that it has {how.announced:,} messages; {number:,} were found.",
        )


class _Body:
    """What stands below a header."""

    def __init__(self, name: str, at: float) -> None:
        self._name = name
        self._at = at
        self._lines: list[str] = []
        self._size = 0

    def add(self, line: str) -> None:
        """One more line."""
        self._size += len(line) + 1
        if self._size <= LONGEST_BODY:
            self._lines.append(line)

    def drop_footer(self) -> None:
        """Leave out the last three lines of the file."""
        left = 3 if self._size <= LONGEST_BODY else 0
        while left:
            left -= bool(self._lines.pop())

    def has_ended(self, *, spaced: bool) -> bool:
        """Whether the message is whole, though the file is cut off; what began after it is left out."""
        kept = len(self._lines)
        while kept and self._lines[kept - 1]:
            kept -= 1
        if _is_rest(self._lines[kept:]):
            del self._lines[kept:]
        *_, before_last, last = ["x", "x", *self._lines]
        return not last and (not spaced or not before_last or self._lines[-3:-2] == [REACTIONS])

    def record(self, source: Source, channel: str, number: int) -> Record:
        """The message with its text, or why there is none."""
        if self._size > LONGEST_BODY:
            return Dropped(
                "too long", mend=f"{source.name}, message {number} is longer than a message can be."
            )
        lines = self._lines
        end = _text_end(lines)
        text = "\n".join(lines[:end]).strip("\n")
        if is_notice(text):
            return NOTICE
        if reason := unusable(text, source, number):
            return FORWARDED if reason is EMPTY and lines[end : end + 1] == [_FORWARDED] else reason
        return Message(
            channel=channel,
            author=author_by_name(self._name),
            author_name=self._name,
            text=text,
            at=self._at,
            attachments=_attachments(lines[end:]),
            source=source.name,
            account=account_name(self._name),
        )


def _is_rest(lines: list[str]) -> bool:
    """Whether this is how a header, or the end of the file, begins."""
    if len(lines) == 1 and lines[0].startswith("["):
        return True
    return 0 < len(lines) <= 3 and not lines[0].strip("=")


def _text_end(lines: list[str]) -> int:
    """Where the text ends and the blocks begin."""
    sent = max((i for i, line in enumerate(lines) if line.startswith("Originally sent: ")), default=-1)
    for i, line in enumerate(lines):
        if i and line in _BLOCKS and not lines[i - 1] and _are_blocks(lines, i, sent):
            return i
    return len(lines)


def _are_blocks(lines: list[str], at: int, sent: int) -> bool:
    """Whether there is nothing but blocks from here on, each of them whole and in its place."""
    block = -1
    while at < len(lines):
        if lines[at] not in _BLOCKS[block + 1 :]:
            return False
        block = _BLOCKS.index(lines[at])
        if lines[at] in (_EMBED, _FORWARDED):  # may hold anything, empty lines too
            return lines[at] == _EMBED or sent > at
        end = next((i for i in range(at + 1, len(lines)) if not lines[i]), len(lines))
        if end == at + 1 or (lines[at] == REACTIONS and end > at + 2):
            return False
        at = next((i for i in range(end, len(lines)) if lines[i]), len(lines))
    return True


def _attachments(blocks: list[str]) -> tuple[str, ...]:
    if blocks[:1] != [_ATTACHMENTS]:
        return ()
    end = blocks.index("") if "" in blocks else len(blocks)
    return file_names(blocks[1:end])


def _channel(source: Source) -> str:
    """The channel by its id in the file's name, or by its name in the preamble."""
    by_file = channel_of(source)
    if by_file.isdigit():
        return by_file
    found = _CHANNEL.search(source.head())
    return found[1].strip() if found else by_file


DISCORD_TXT = Reader("DiscordChatExporter TXT", fits, read)
