"""`file=NAME` on Discord names what is attached to the message; it is read from Discord's CDN alone."""

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Protocol

import aiohttp
from yarl import URL

from chorus.common.contracts.wire import MIB
from chorus.common.errors import InvalidInput, NotFound, TooLarge, Unavailable
from chorus.gateway.commands.ports import Upload

CHUNK = 64 * 1024  # bytes
WITHIN = aiohttp.ClientTimeout(total=120)  # seconds
GONE = (403, 404, 410)  # the CDN's addresses are signed, and expire


class Attachment(Protocol):
    """What is needed of `discord.Attachment`."""

    filename: str
    size: int
    url: str


class AttachedFiles:
    """`ports.Files` among the attachments of a message, and of the one that it replies to (`answered`).

    Several of them may have the same name, as voice messages do: then the second `audio.ogg` is called
    `audio-2.ogg`.
    """

    def __init__(
        self,
        attachments: Sequence[Attachment],
        cdn: str,
        max_bytes: int,
        answered: Sequence[Attachment] = (),
    ) -> None:
        self._files = _by_name((*attachments, *answered))
        self._attached = list(self._files)[: len(attachments)]
        self._cdn = URL(cdn).origin()
        self._max_bytes = max_bytes

    def attached(self) -> list[str]:
        """Their names."""
        return self._attached

    def names(self, these: Collection[Attachment]) -> tuple[str, ...]:
        """What these of them are called."""
        return tuple(name for name, attachment in self._files.items() if attachment in these)

    async def read(self, name: str) -> Upload:
        """The file, if it is no larger than it may be: as Discord says, and as it turns out to be."""
        attachment = self._find(name)
        if attachment.size > self._max_bytes:
            raise self._too_large(name)
        data = await fetched(attachment, self._cdn, self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise self._too_large(name)
        return Upload(attachment.filename, data)

    def _find(self, name: str) -> Attachment:
        on_discord = name.replace(" ", "_")  # Discord renames what has spaces
        if attachment := self._files.get(name) or self._files.get(on_discord):
            return attachment
        known = f"Attached: {', '.join(self._attached)}." if self._attached else "Attach it to the message."
        raise NotFound(f"There is no file {name} here. {known}", code="file_not_found", param="file")

    def _too_large(self, name: str) -> TooLarge:
        return TooLarge(
            f"{name} is too large: at most {self._max_bytes / MIB:.0f} MiB are taken. Split it.", param="file"
        )


def _by_name(attachments: Sequence[Attachment]) -> dict[str, Attachment]:
    """Each under a name of its own, in order."""
    named: dict[str, Attachment] = {}
    for attachment in attachments:
        name, number, path = attachment.filename, 1, PurePath(attachment.filename)
        while name in named:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        named[name] = attachment
    return named


async def fetched(attachment: Attachment, cdn: URL, most: int) -> bytes:
    """The file's first bytes, at most so many: without our token, without redirects, from Discord alone.

    Raises `InvalidInput` for what is kept elsewhere, `NotFound` for what is gone, `Unavailable`.
    """
    name, cookies = attachment.filename, aiohttp.DummyCookieJar()
    if URL(attachment.url).origin() != cdn:
        raise InvalidInput(f"{name} is not kept by Discord. Attach it.", code="foreign_file", param="file")
    try:
        async with (
            aiohttp.ClientSession(timeout=WITHIN, cookie_jar=cookies, auto_decompress=False) as session,
            session.get(URL(attachment.url, encoded=True), allow_redirects=False) as response,
        ):
            if response.status in GONE:
                raise NotFound(
                    f"Discord no longer has {name}. Attach it again.", code="file_gone", param="file"
                )
            if response.status != 200:
                raise aiohttp.ClientError(f"status {response.status}")
            data = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                data += chunk
                if len(data) >= most:
                    break
            return bytes(data[:most])
    except (aiohttp.ClientError, OSError):  # late, too
        raise Unavailable(
            f"Discord did not hand {name} over. Try again.", code="file_unavailable", param="file"
        ) from None
