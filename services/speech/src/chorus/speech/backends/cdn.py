"""Recordings from Discord's CDN, by their address.

Nothing that the address or the answer says leads anywhere else: no redirect is followed, no proxy of the
environment is asked, and no other name is ever looked up. The IP addresses that Discord's names stand for are
not judged: in some networks they are private ones, and the certificate says whose they are.
"""

import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from chorus.common.contracts.wire import MIB
from chorus.common.errors import NotFound, TooLarge, Unavailable
from chorus.speech.voice.addresses import cdn_address, fetched_from

CHUNK = 64 * 1024  # bytes
WITHIN = aiohttp.ClientTimeout(total=60, connect=10, sock_read=10)  # seconds
GONE = (403, 404, 410)  # the CDN's addresses are signed, and expire


class DiscordCdn:
    """`ports.Cdn`. `cdn` is where Discord keeps files; `most` are the bytes of one of them."""

    def __init__(
        self,
        cdn: str,
        *,
        most: int,
        within: aiohttp.ClientTimeout = WITHIN,
        connector: Callable[[AbstractResolver], aiohttp.BaseConnector] | None = None,
    ) -> None:
        self._origins = fetched_from(cdn)
        self._hosts = frozenset(URL(origin).host for origin in self._origins)
        self._most = most
        self._within = within
        self._connector = connector or (lambda resolver: aiohttp.TCPConnector(resolver=resolver))

    async def fetch(self, address: str, filename: str) -> bytes:
        """The whole file.

        Raises `InvalidInput` for an address that is not Discord's, before anything is opened; `NotFound` for
        what is gone, `TooLarge` as soon as that is known, `Unavailable`.
        """
        url = cdn_address(address, self._origins)
        session = aiohttp.ClientSession(
            connector=self._connector(OnlyThese(self._hosts)),
            timeout=self._within,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,  # what is packed may be a bomb, and is no recording
        )
        try:
            async with session, session.get(url, allow_redirects=False) as response:
                if response.status in GONE:
                    raise NotFound(
                        f"Discord no longer has {filename}. Attach it again.", code="file_gone", param="url"
                    )
                if response.status != 200:
                    raise aiohttp.ClientError(f"status {response.status}")
                return await self._body(response, filename)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unavailable(
                f"Discord did not hand {filename} over. Try again.", code="file_unavailable", param="url"
            ) from None

    async def _body(self, response: aiohttp.ClientResponse, filename: str) -> bytes:
        """What it has, as far as it may have: as it says, and as it turns out to be."""
        data = bytearray()
        if (response.content_length or 0) <= self._most:
            async for chunk in response.content.iter_chunked(CHUNK):
                data += chunk
                if len(data) > self._most:
                    break
            else:
                return bytes(data)
        raise TooLarge(
            f"{filename} is too large: at most {self._most / MIB:.0f} MiB are taken. Send a shorter one.",
            code="audio_too_large",
            param="url",
        )


class OnlyThese(AbstractResolver):
    """Looks up these names alone, whoever asks for another."""

    def __init__(self, hosts: frozenset[str | None]) -> None:
        self._hosts = hosts
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Its addresses. Raises `OSError`."""
        if host not in self._hosts:
            raise OSError(f"{host} is not looked up")
        return await self._resolver.resolve(host, port, family)

    async def close(self) -> None:
        """There is nothing to close."""
        await self._resolver.close()
