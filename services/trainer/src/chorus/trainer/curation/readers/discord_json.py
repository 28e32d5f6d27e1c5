"""DiscordChatExporter's JSON: the format to prefer, for it alone has ids of messages, replies and edits.

The exporter indents. In JSON no line ends within a string, so a line with nothing before its brace, as deep
as the first message's, ends a message. The file is cut there into pieces, and msgspec decodes a piece at
once; memory never holds more than one. A piece with something wrong in it is decoded once more, message by
message. A file that a program wrote anew, without line breaks, say, is taken apart by Python's own decoder,
which is slower.

Python's decoder and not a streaming one: ijson notes the path to every bracket, and 100,000 brackets in a
row cost it more than 20 GB; this one refuses to go that deep.
"""

import codecs
import json
import os
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.notes import Part
from chorus.trainer.curation.readers.discord_message import DiscordMessage, Messages, channel_in
from chorus.trainer.curation.readers.reader import Reader, cut_off
from chorus.trainer.curation.records import Dropped, Record
from chorus.trainer.curation.source import HEAD, Source, encoding_of

PIECE = 256 * 1024  # bytes that are decoded at once; with 1 MiB, fresh memory costs as much as the decoding
LONGEST_MESSAGE = 64 * 1024 * 1024  # bytes; where thousands of people reacted, 10 MB are no wonder

_OPENING = re.compile(rb'(?<!\\)"messages"\s*:\s*\[')
"""Within a string, a quotation mark follows a backslash: this is a key, whatever a topic says."""
_INDENTED = re.compile(rb"[ \t]*\r?\n([ \t]+)\{\r?\n\1[ \t]+\"")
_HEAD = re.compile(r'\{(?=.*?"guild"\s*:\s*\{)(?=.*?"channel"\s*:\s*\{)', re.DOTALL)
_TYPE = re.compile(r'"channel"\s*:\s*\{[^{}]*?"type"\s*:\s*"(GuildTextChat|GuildNews|Guild\w+Thread)"')
_BETWEEN = re.compile(r"[\s,]*")
_CLOSED = 4096  # bytes of a file's end in which its last brace is looked for


class _Anything(msgspec.Struct):
    """A message of which nothing is read but where it ends."""


_MESSAGES = msgspec.json.Decoder(list[DiscordMessage])
_SHAPELESS = msgspec.json.Decoder(_Anything)
_PLAIN = json.JSONDecoder(parse_int=float)  # an int of a million digits would take minutes


def fits(head: str) -> bool:
    """An object that tells of a guild and of a channel."""
    return _HEAD.match(head.lstrip()) is not None


def part(head: str) -> Part | None:
    """Whether this is a channel that may have threads, or a thread; none where no exporter wrote it."""
    found = _TYPE.search(head)
    if found is None or '"dateRange"' not in head:
        return None
    return "thread" if found[1].endswith("Thread") else "channel"


def read(source: Source, options: BuildOptions) -> Iterator[Record]:
    """The messages of one channel."""
    del options
    with source.open() as file:
        start = file.read(HEAD)
        if encoding_of(start) == "utf-16":
            raise _broken(source, "is not UTF-8 text. Save the file as UTF-8", code="wrong_encoding")
        opening = _OPENING.search(start)
        if opening is None:
            yield _without_messages(source, start)
            return
        messages = Messages(source, channel_in(start[: opening.start()], source))
        data = start[opening.end() :]
        if found := _INDENTED.match(data):
            yield from _indented(file, data, b"\n" + found[1] + b"}", messages)
        else:
            yield from _rewritten(file, data, messages)


def _indented(file: BinaryIO, data: bytes, end: bytes, messages: Messages) -> Iterator[Record]:
    """The messages, cut apart at the lines where they end."""
    while True:
        cut = data.rfind(end) + len(end)
        if cut >= len(end):
            yield from _piece(data[:cut], end, messages)
            data = data[cut:]
        elif len(data) > LONGEST_MESSAGE:
            raise _too_long(messages)
        more = file.read(max(PIECE, len(data)))  # twice as much each time: joining them stays cheap
        if not more:
            break
        data += more
    if not (data.lstrip(b", \t\r\n").startswith(b"]") and _closed(file)):
        yield cut_off(messages.source)


def _piece(piece: bytes, end: bytes, messages: Messages) -> Iterator[Record]:
    """Some thousand messages at once, or, if one of them is broken, each for itself."""
    try:
        decoded = _MESSAGES.decode(b"[" + piece.lstrip(b", \t\r\n") + b"]")
    except (ValueError, RecursionError):
        for part in piece.split(end)[:-1]:
            yield from _part(part.lstrip(b", \t\r\n") + end, messages)
    else:
        yield from map(messages.record, decoded)


def _part(part: bytes, messages: Messages) -> Iterator[Record]:
    """One message; several where the first one's braces are on one line."""
    try:
        values: list[Any] = _PLAIN.decode(f"[{part.decode('utf-8', 'surrogateescape')}]")
    except json.JSONDecodeError as error:
        yield messages.broken(f"not JSON: {error.msg}")
    except (ValueError, RecursionError):
        yield messages.broken("nested too deep")
    else:
        yield from map(messages.converted, values)


def _rewritten(file: BinaryIO, data: bytes, messages: Messages) -> Iterator[Record]:
    """The messages of a file that is laid out in some other way."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text, at = decoder.decode(data), 0
    while True:
        found = _BETWEEN.match(text, at)
        at = found.end() if found else at
        if text.startswith("]", at):
            break
        try:
            value, at = _PLAIN.raw_decode(text, at)
        except (ValueError, RecursionError):
            text, at = text[at:], 0
            _refuse_broken(text, messages)
            more = file.read(max(PIECE, len(text)))
            if not more:
                yield cut_off(messages.source)
                return
            text += decoder.decode(more)
        else:
            yield messages.converted(value)
    if not _closed(file):
        yield cut_off(messages.source)


def _refuse_broken(text: str, messages: Messages) -> None:
    """Raises `InvalidInput` unless this is the start of a message: where a broken one ends, nobody knows."""
    where = f"breaks off at message {messages.count + 1}"
    if len(text) > LONGEST_MESSAGE:
        raise _too_long(messages)
    try:
        _SHAPELESS.decode(text.encode("utf-8", "surrogateescape"))
    except msgspec.DecodeError as error:
        if not _is_truncation(error) and text:
            raise _broken(messages.source, f"{where}: {error}") from None
    except RecursionError:
        raise _broken(messages.source, f"{where}: nested too deep") from None


def _without_messages(source: Source, start: bytes) -> Dropped:
    """What to say of a file in which no list of messages begins."""
    try:
        _SHAPELESS.decode(start.removeprefix(codecs.BOM_UTF8))
    except msgspec.DecodeError as error:
        if _is_truncation(error) and len(start) < HEAD:
            return cut_off(source)
        raise _broken(source, f"is broken: {error}") from None
    except RecursionError:
        raise _broken(source, "is broken: nested too deep") from None
    raise _broken(source, 'has no list of "messages"', code="wrong_shape")


def _closed(file: BinaryIO) -> bool:
    """Whether the file's last sign is a brace, as it must be."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _CLOSED))
    return file.read().rstrip().endswith(b"}")


def _is_truncation(error: msgspec.DecodeError) -> bool:
    return "truncated" in str(error)


def _too_long(messages: Messages) -> InvalidInput:
    limit = LONGEST_MESSAGE // 1024**2
    return _broken(messages.source, f"has more than {limit} MiB in message {messages.count + 1}")


def _broken(source: Source, what: str, *, code: str = "broken_json") -> InvalidInput:
    return InvalidInput(f"{source.name} {what}. Export it again as JSON.", code=code, param="file")


DISCORD_JSON = Reader("DiscordChatExporter JSON", fits, read, part)
