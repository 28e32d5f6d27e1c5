"""A message as DiscordChatExporter's JSON has it, and what becomes of it."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from chorus.trainer.curation.readers.discord_export import FORWARDED, channel_of, unusable
from chorus.trainer.curation.records import EMPTY, NOTICE, Dropped, Message, Record
from chorus.trainer.curation.source import Source

TALK = frozenset({"Default", "Reply", "20"})
"""Types of messages that are words; "20" answers a slash command. All others tell what somebody did."""
LONGEST_NAME = 64  # characters; Discord allows 32


class DiscordUser(msgspec.Struct, gc=False, rename="camel"):
    """Who wrote a message, or is mentioned in it."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    name: str | None = None
    nickname: str | None = None
    """On this server; elsewhere the name that is shown."""
    is_bot: bool = False


class _Attachment(msgspec.Struct, gc=False, rename="camel"):
    file_name: str = ""


class _Reference(msgspec.Struct, gc=False, rename="camel"):
    type: str | None = None
    message_id: str | None = None


class _Forwarded(msgspec.Struct, gc=False):
    pass


class DiscordMessage(msgspec.Struct, gc=False, rename="camel"):
    """What is read of a message; all else is passed over. Few fields are in the files of all versions."""

    author: DiscordUser
    timestamp: datetime
    id: str = ""
    type: str = "Default"
    timestamp_edited: datetime | None = None
    content: str | None = None
    attachments: list[_Attachment] | None = None
    mentions: list[DiscordUser] | None = None
    reference: _Reference | None = None
    forwarded_message: _Forwarded | None = None


class _Channel(msgspec.Struct):
    id: str | None = None
    name: str | None = None


class _Preamble(msgspec.Struct):
    channel: _Channel


def channel_in(preamble: bytes, source: Source) -> str:
    """The channel's id, or its name, from what stands before the messages."""
    start = preamble.find(b"{")
    try:
        channel = msgspec.json.decode(preamble[start:].rstrip(b", \t\r\n") + b"}", type=_Preamble).channel
    except (ValueError, RecursionError):
        return channel_of(source)
    return channel.id or channel.name or channel_of(source)


class Messages:
    """Makes records of one file's messages, and counts them."""

    def __init__(self, source: Source, channel: str) -> None:
        self.source = source
        self.count = 0
        self._channel = sys.intern(channel)

    def record(self, message: DiscordMessage) -> Record:
        """A message with its text, or why there is none. What a million messages share is kept once."""
        self.count += 1
        if message.type not in TALK:
            return NOTICE
        text = message.content or ""
        if reason := unusable(text, self.source, self.count):
            return FORWARDED if reason is EMPTY and _is_forward(message) else reason
        if message.mentions and "@" in text:
            text = _with_ids(text, message.mentions)
        author, reference, edited = message.author, message.reference, message.timestamp_edited
        return Message(
            channel=self._channel,
            author=sys.intern(author.id),
            author_name=sys.intern(author.nickname or author.name or author.id),
            account=sys.intern(author.name) if author.name else "",
            text=text,
            at=_seconds(message.timestamp),
            id=message.id,
            reply_to=(reference.message_id or "") if reference and message.type == "Reply" else "",
            is_bot=author.is_bot,
            edited_at=_seconds(edited) if edited else 0.0,
            attachments=tuple(a.file_name for a in message.attachments) if message.attachments else (),
            source=self.source.name,
        )

    def converted(self, value: object) -> Record:
        """The same of what Python's decoder made of a message, which takes more than is text."""
        try:
            record = self.record(msgspec.convert(value, DiscordMessage))
        except msgspec.ValidationError as error:
            return self.broken(str(error))
        try:
            msgspec.json.encode(record)
        except UnicodeEncodeError:
            where = f"{self.source.name}, message {self.count}"
            return Dropped("half a character", mend=f"{where} has a sign that is no UTF-8.")
        return record

    def broken(self, what: str) -> Dropped:
        """A message that is not like others."""
        self.count += 1
        return Dropped("broken message", mend=f"{self.source.name}, message {self.count}: {what}.")


def _is_forward(message: DiscordMessage) -> bool:
    reference = message.reference
    return message.forwarded_message is not None or (reference is not None and reference.type == "Forward")


def _seconds(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _with_ids(text: str, mentioned: list[DiscordUser]) -> str:
    """`@Bob` as Discord itself writes it, `<@200>`, so that whoever is called so can be given another name.

    The longest name wins. A letter or digit of ASCII right after a name makes it another one; those of
    languages that put no spaces between words do not.
    """
    ids = {name: user.id for user in mentioned for name in (user.name, user.nickname) if name}
    lengths = sorted({len(name) for name in ids if len(name) <= LONGEST_NAME}, reverse=True)
    parts: list[str] = []
    done = 0
    found = text.find("@")
    while found >= 0:
        for length in lengths:
            end = found + 1 + length
            if (person := ids.get(text[found + 1 : end])) and not _goes_on(text, end):
                parts += (text[done:found], f"<@{person}>")
                done = end
                break
        found = text.find("@", max(done, found + 1))
    return "".join([*parts, text[done:]])


def _goes_on(text: str, end: int) -> bool:
    sign = text[end : end + 1]
    return sign.isascii() and (sign.isalnum() or sign == "_")
