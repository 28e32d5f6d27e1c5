"""Which format a file is, by its content: names lie, and files typed by people have none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chorus.common.errors import InvalidInput, in_short
from chorus.trainer.curation.readers import Read, parse_json, read_messages, read_pairs, read_text

ACCEPTED = 'a JSON list of {"user": "…", "bot": "…"}, JSON lines of {"messages": […]}, or plain text in UTF-8'


@dataclass(frozen=True)
class Format:
    """A format by name, and how it is read."""

    name: str
    read: Callable[[str], Iterator[Read]]


PAIRS = Format("conversation JSON", read_pairs)
MESSAGES = Format("messages JSONL", read_messages)
TEXT = Format("plain text", read_text)


def decode_text(data: bytes) -> str:
    """The file as text. Raises `InvalidInput` at the first byte that is not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"Line {line} is not UTF-8 text (byte 0x{data[error.start]:02x}). Save the file as UTF-8.",
            code="wrong_encoding",
        ) from None
    if "\x00" in text:
        raise InvalidInput(f"This is no text file. Accepted are {ACCEPTED}.", code="not_text")
    if not text.strip():
        raise InvalidInput("The file is empty: there is nothing to learn from.", code="empty_file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def detect(text: str) -> Format:
    """The format of a file's text. Raises `InvalidInput` that says what it looked like."""
    start = text.lstrip()
    if start.startswith("["):
        return _json_list(start)
    if start.startswith("{"):
        return _json_objects(start)
    return TEXT


def _json_list(text: str) -> Format:
    try:
        records = parse_json(text)
    except InvalidInput:
        if text[1:].lstrip()[:1] in ("{", "[", "]", ""):  # meant as JSON, surely
            raise
        return TEXT  # "[12:05] somebody: hello" starts like this, too
    if isinstance(records, list) and records and isinstance(records[0], dict):
        if {"user", "bot"} <= records[0].keys():
            return PAIRS
        raise _unknown(f"a JSON list of objects with {_keys(records[0])}")
    raise _unknown("an empty JSON list" if not records else "a JSON list of something else than objects")


def _json_objects(text: str) -> Format:
    try:
        record = parse_json(text.split("\n", 1)[0])
    except InvalidInput:
        record = parse_json(text)  # one object on several lines, or broken
        raise _unknown(f"one JSON object on several lines, with {_keys(record)}") from None
    if "messages" in record:
        return MESSAGES
    raise _unknown(f"JSON lines with {_keys(record)}")


def _keys(record: dict[str, object]) -> str:
    shown = ", ".join(f'"{in_short(key)}"' for key in list(record)[:6])
    return shown or "no fields"


def _unknown(looks_like: str) -> InvalidInput:
    return InvalidInput(
        f"The file looks like {looks_like}. Accepted are {ACCEPTED}.", code="unknown_format", param="file"
    )
