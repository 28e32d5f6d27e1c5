"""Which addresses recordings are fetched from: Discord's own CDN, and nothing else. Pure.

An address comes from a stranger, and a service that fetches what it is told to reaches what the stranger
cannot: the machine itself, its neighbours, a cloud's metadata. So the whole of it has to look as Discord
writes it, to the letter, and no part is put right.
"""

import re
from collections.abc import Collection

from yarl import URL

from chorus.common.errors import InvalidInput

CDN = "https://cdn.discordapp.com"
CDNS = (CDN, "https://media.discordapp.net")
"""Where Discord keeps attached files, and where it shows them from."""

_PATH = re.compile(r"/[!-\[\]-~]*", re.ASCII)  # what can be printed, but for spaces and backslashes


def fetched_from(cdn: str) -> tuple[str, ...]:
    """The origins that may be fetched from, where the operator has named this one."""
    return CDNS if cdn.rstrip("/") == CDN else (cdn.rstrip("/"),)


def cdn_address(address: str, origins: Collection[str]) -> URL:
    """The address, as it is asked for. Raises `InvalidInput` unless it is on one of these origins."""
    origin = next((origin for origin in origins if address.startswith(f"{origin}/")), None)
    if origin is not None and _PATH.fullmatch(address.removeprefix(origin)):
        url = URL(address, encoded=True)
        if url.origin() == URL(origin) and url.user is None and url.password is None:
            return url
    raise InvalidInput(
        "Recordings are fetched from Discord alone. Attach it to a message, and give the address of that: "
        "`https://cdn.discordapp.com/attachments/…`.",
        code="foreign_file",
        param="url",
    )
