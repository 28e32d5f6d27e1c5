"""Messages in the shape of DiscordChatExporter's JSON, which every reader of chats knows; in a ZIP."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from chorus.common.contracts.names import slug
from chorus.gateway.commands.history import Channel, Said

Export = dict[str, Any]
"""One channel's messages, as the exporter has them."""

OPENING, CLOSING = b'"messages": [', b"\n ]\n}"
"""Before and after the messages of a file of ours."""

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same messages are the same bytes, whenever they are packed


def packed(guild: str, said: Iterable[tuple[Channel, list[Said]]]) -> bytes:
    """A ZIP with one file for each channel."""
    return _zipped(
        {
            f"{slug(channel.name)}-{channel.id}.json": _written(_export(guild, channel, messages))
            for channel, messages in said
            if messages
        }
    )


def merged(parts: Iterable[bytes]) -> bytes:
    """The messages of several ZIPs in one, still with one file for each channel. Nothing is decoded."""
    files: dict[str, bytearray] = {}
    names: dict[str, str] = {}
    for part in parts:
        with zipfile.ZipFile(io.BytesIO(part)) as archive:
            for name in archive.namelist():
                content = archive.read(name).removesuffix(CLOSING)
                name = names.setdefault(name.rsplit("-")[-1], name)  # a channel may have been renamed
                if name in files:
                    files[name] += b"," + content.partition(OPENING)[2]
                else:
                    files[name] = bytearray(content)
    return _zipped({name: bytes(content + CLOSING) for name, content in files.items()})


def _zipped(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def _written(export: Export) -> bytes:
    """Indented as the exporter's: so it is read faster."""
    return json.dumps(export, ensure_ascii=False, indent=1).encode("utf-8", "replace")


def _export(guild: str, channel: Channel, messages: list[Said]) -> Export:
    return {
        "guild": {"id": guild, "name": guild},
        "channel": {
            "id": str(channel.id),
            "type": channel.kind,
            "category": channel.parent_name,
            "name": channel.name,
            "topic": None,
        },
        "messages": [_message(guild, channel, message) for message in messages],
    }


def _message(guild: str, channel: Channel, said: Said) -> Export:
    """One message. Whom it mentions is left out: they have not been asked."""
    exported: dict[str, Any] = {
        "id": str(said.id),
        "type": "Reply" if said.reply_to else "Default",
        "timestamp": said.at.isoformat(),
        "timestampEdited": said.edited_at.isoformat() if said.edited_at else None,
        "isPinned": False,
        "content": said.text,
        "author": {
            "id": said.author.id,
            "name": said.author.name,
            "discriminator": "0000",
            "nickname": said.author.nickname,
            "isBot": said.author.is_bot,
        },
        "attachments": [
            {"id": file.id, "fileName": file.name, "fileSizeBytes": file.size} for file in said.attachments
        ],
        "embeds": [],
        "reactions": [],
        "mentions": [],
    }
    if said.reply_to:
        exported["reference"] = {
            "messageId": str(said.reply_to),
            "channelId": str(channel.id),
            "guildId": guild,
        }
    return exported
