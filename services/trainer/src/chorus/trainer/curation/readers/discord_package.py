"""The package of one's own data that Discord sends: a person's own messages, from all channels.

    Account/user.json                {"id": "…", "username": "…", "global_name": "…", …}
    Messages/c<channel>/channel.json
    Messages/c<channel>/messages.json    [{"ID": …, "Timestamp": "…", "Contents": "…", "Attachments": "…"}]
    Messages/c<channel>/messages.csv     the same columns, until 2024

Since 2025 the folders are called as the person's language has it (`Nachrichten`, `Wiadomości`), before that
in small letters; before 2021 a channel's folder had no `c`. So the files' own names tell the format. Who did
not ask for the account gets no `user.json`: the messages are theirs who hands it over.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.conversation import half_a_character, has_half_a_character
from chorus.trainer.curation.readers.entries import Entry, WrongShape, entries, shaped
from chorus.trainer.curation.readers.folder import Files, FolderReader, Plan, base, parent
from chorus.trainer.curation.readers.reader import Reader
from chorus.trainer.curation.readers.rows import rows
from chorus.trainer.curation.readers.times import seconds
from chorus.trainer.curation.records import EMPTY, SELF, Message, Record
from chorus.trainer.curation.source import Source

NAME = "Discord data package"
_EXPECTED = 'Each message needs "ID", "Timestamp", "Contents" and "Attachments".'
_USER_FILE_BYTES = 64 * 1024 * 1024  # some megabytes: it holds all friends and settings


class _Owner(NamedTuple):
    """Whom the package belongs to."""

    author: str
    author_name: str
    account: str = ""


_NOBODY = _Owner(SELF, "me")


def _takes(names: Sequence[str]) -> set[str]:
    """All that is in it, if a channel is: nothing else in a package is anybody's words."""
    return set(names) if any(_message_files(names)) else set()


def _message_files(names: Sequence[str]) -> Iterator[str]:
    channels = {parent(name) for name in names if base(name) == "channel.json"}
    return (
        name for name in names if base(name) in {"messages.json", "messages.csv"} and parent(name) in channels
    )


def _plan(files: Files, taken: set[str]) -> Plan:
    owner = _owner(files)
    names = [name for name in files.names if name in taken]
    return Plan((name, _reader(name, owner)) for name in _message_files(names))


def _owner(files: Files) -> _Owner:
    name = min((name for name in files.names if base(name) == "user.json"), key=len, default=None)
    if name is None:
        return _NOBODY
    with files.open(name) as source, source.open() as file:
        try:
            user = json.loads(file.read(_USER_FILE_BYTES))
            author = str(int(user["id"]))
            account = str(user.get("username") or "")
            return _Owner(author, str(user.get("global_name") or account or author), account)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise InvalidInput(
                f"{source.name} does not say whose package this is: its `id` is missing.",
                code="wrong_shape",
                param="file",
            ) from None


def _reader(name: str, owner: _Owner) -> Reader:
    channel = base(parent(name).rstrip("/")).removeprefix("c")
    as_record = partial(_message, channel=channel, owner=owner)

    def read(source: Source, _options: BuildOptions) -> Iterator[Record]:
        found = rows(source) if base(name).endswith(".csv") else entries(source)
        return shaped(found, partial(as_record, source=source.name), _EXPECTED)

    return Reader(NAME, lambda _head: True, read)


def _message(entry: Entry, *, channel: str, owner: _Owner, source: str) -> Record:
    fields = entry.value
    if not isinstance(fields, dict) or not isinstance(text := fields.get("Contents"), str):
        raise WrongShape("has no text `Contents`")
    at = seconds(str(fields.get("Timestamp", "")))
    if at is None:
        raise WrongShape("has a wrong `Timestamp`, or none")
    if not text.strip():
        return EMPTY
    if has_half_a_character(text):
        return half_a_character(entry.where)
    return Message(
        channel=channel,
        author=owner.author,
        author_name=owner.author_name,
        text=text,
        at=at,
        id=str(fields.get("ID", "")),
        attachments=_attachments(fields.get("Attachments")),
        source=source,
        account=owner.account,
    )


def _attachments(links: object) -> tuple[str, ...]:
    """Names of files, of links parted by blanks."""
    found = links.split() if isinstance(links, str) else []
    return tuple(base(link.partition("?")[0]) for link in found)


DISCORD_PACKAGE = FolderReader(NAME, _takes, _plan)
