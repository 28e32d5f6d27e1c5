"""Recordings are fetched from Discord's CDN: any other address opens no connection, and what Discord's says
leads nowhere else."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from chorus.common.errors import ChorusError, InvalidInput
from chorus.speech.backends.cdn import DiscordCdn, OnlyThese
from chorus.speech.voice.addresses import CDN

MOST = 4096  # bytes
HOST = CDN.removeprefix("https://")


class Watched(aiohttp.TCPConnector):
    """A connector that notes whom it is asked for, and connects to nobody."""

    asked: list[tuple[str | None, int | None, bool]]

    async def connect(self, req: aiohttp.ClientRequest, *_: Any, **__: Any) -> Any:
        self.asked.append((req.url.host, req.url.port, req.is_ssl()))
        raise aiohttp.ClientConnectionError("nobody is called in a test")


@pytest.fixture
def asked() -> list[tuple[str | None, int | None, bool]]:
    """Whom the connector was asked for."""
    return []


@pytest.fixture
def cdn(asked: list[tuple[str | None, int | None, bool]]) -> DiscordCdn:
    def watched(resolver: AbstractResolver) -> Watched:
        connector = Watched(resolver=resolver)
        connector.asked = asked
        return connector

    return DiscordCdn(CDN, most=MOST, connector=watched)


async def code_of(work: Awaitable[bytes]) -> str:
    with pytest.raises(ChorusError) as error:
        await work
    assert error.value.message.endswith((".", "`."))
    return error.value.code


@pytest.mark.parametrize(
    "address",
    [
        f"{CDN}/attachments/1/2/voice-message.ogg?ex=1&is=2&hm=ab%20c",
        "https://media.discordapp.net/attachments/1/2/voice-message.ogg",
    ],
)
async def test_discords_own_addresses_are_asked_for(
    cdn: DiscordCdn, asked: list[tuple[str | None, int | None, bool]], address: str
) -> None:
    """Also proof that the connector notes it where a connection would be opened."""
    assert await code_of(cdn.fetch(address, "x.ogg")) == "file_unavailable"
    assert asked == [(address.split("/")[2], 443, True)]


NEAR = """
127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 0.0.0.0 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1]
[64:ff9b::7f00:1] [2002:7f00:1::] 192.0.0.8 169.254.169.254 10.0.0.1 192.168.0.1 100.64.0.1 198.18.0.1
[fd00::1] [fe80::1%25eth0] localhost localhost. metadata.google.internal
"""

FOREIGN = [
    *(f"{scheme}://{host}/x.ogg" for scheme in ("http", "https") for host in NEAR.split()),
    "",
    "/etc/hostname",
    "file:///etc/hostname",
    "ftp://cdn.discordapp.com/x.ogg",
    "gopher://127.0.0.1:6379/_INFO",
    "data:audio/ogg;base64,T2dnUw==",
    "//cdn.discordapp.com/x.ogg",
    f"http://{HOST}/x.ogg",
    f"wss://{HOST}/x.ogg",
    f"{CDN}:443/x.ogg",
    f"{CDN}:80/x.ogg",
    f"{CDN}:8443/x.ogg",
    f"{CDN}:443@127.0.0.1/x.ogg",
    f"{CDN}:4430/x.ogg",
    f"{CDN}",
    f"{CDN}./x.ogg",
    f"{CDN}.evil.example/x.ogg",
    f"{CDN}@127.0.0.1/x.ogg",
    f"{CDN}:443\\@127.0.0.1/x.ogg",
    f"{CDN}\\@127.0.0.1/x.ogg",
    f"{CDN}%2f@127.0.0.1/x.ogg",
    f"{CDN}#@127.0.0.1/x.ogg",
    f"{CDN}?@127.0.0.1/x.ogg",
    f"{CDN}%00.evil.example/x.ogg",
    f"{CDN}/x.ogg\r\nHost: 127.0.0.1",
    f"{CDN}/x.ogg\n",
    f"{CDN}/\\..\\x.ogg",
    f"{CDN}/x ogg",
    f" {CDN}/x.ogg",
    f"\t{CDN}/x.ogg",
    f"{CDN}/\u202egg.x",
    f"https://user@{HOST}/x.ogg",
    f"https://user:secret@{HOST}/x.ogg",
    f"https://:@{HOST}/x.ogg",
    f"https://127.0.0.1/{CDN}/x.ogg",
    f"https://evil.example?{CDN}/x.ogg",
    f"https://evil.example#{CDN}/x.ogg",
    f"https:\\\\{HOST}/x.ogg",
    f"https:/{HOST}/x.ogg",
    f"https:{HOST}/x.ogg",
    "https://cdn。discordapp。com/x.ogg",
    "https://ｃdn.discordapp.com/x.ogg",
    "https://сdn.discordapp.com/x.ogg",
    "https://cdn.discordapp.com.127.0.0.1.nip.io/x.ogg",
    "https://xn--dn-nlc.discordapp.com/x.ogg",
    "https://evilcdn.discordapp.com/x.ogg",
    "https://images-ext-1.discordapp.net/external/x/http/127.0.0.1/x.ogg",
    "https://discord.com/x.ogg",
]  # fmt: skip


@pytest.mark.parametrize("address", FOREIGN)
async def test_any_other_address_opens_no_connection(
    cdn: DiscordCdn, asked: list[tuple[str | None, int | None, bool]], address: str
) -> None:
    assert await code_of(cdn.fetch(address, "x.ogg")) == "foreign_file"
    assert not asked


async def test_no_other_name_is_looked_up_whoever_asks() -> None:
    with pytest.raises(OSError, match="not looked up"):
        await OnlyThese(frozenset({HOST})).resolve("metadata.google.internal", 443)


async def test_where_the_names_stand_for_private_addresses_they_are_called_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some networks map the CDN to 198.18.0.0/15; the certificate says whose it is."""

    async def answer(request: web.Request) -> web.Response:
        assert request.host.startswith("cdn.example:")
        return web.Response(body=b"OggS")

    async with served(answer) as (_, address):
        port = URL(address).port or 0

        async def private(_: object, host: str, *__: object, **___: object) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
                )
            ]

        monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", private)
        origin = f"http://cdn.example:{port}"
        cdn = DiscordCdn(origin, most=MOST)
        assert await cdn.fetch(f"{origin}/x.ogg", "x.ogg") == b"OggS"


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(answer: Answer, **more: Any) -> AsyncIterator[tuple[DiscordCdn, str]]:
    """A CDN of the operator's own, and its address."""
    app = web.Application()
    app.router.add_get("/x.ogg", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield DiscordCdn(origin, most=MOST, **more), f"{origin}/x.ogg"
    finally:
        await runner.cleanup()


async def test_a_file_is_fetched_whole_without_a_key_or_a_cookie() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert not {"Authorization", "Cookie"} & set(request.headers)
        return web.Response(body=b"OggS" * 1024)

    async with served(answer) as (cdn, address):
        assert await cdn.fetch(address, "x.ogg") == b"OggS" * 1024


@pytest.mark.parametrize(
    ("status", "code"), [(403, "file_gone"), (404, "file_gone"), (500, "file_unavailable")]
)
async def test_what_is_gone_or_broken_is_told(status: int, code: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with served(answer) as (cdn, address):
        assert await code_of(cdn.fetch(address, "x.ogg")) == code


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    called: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        called.append(request.path_qs)
        return web.Response(status=status, headers={"Location": "/x.ogg?again"})

    async with served(answer) as (cdn, address):
        assert await code_of(cdn.fetch(address, "x.ogg")) == "file_unavailable"
    assert called == ["/x.ogg"]


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"OggS")

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    async with served(answer) as (cdn, address):
        assert await cdn.fetch(address, "x.ogg") == b"OggS"


@pytest.mark.parametrize("says_so", [True, False])
async def test_what_is_too_large_or_never_ends_is_cut_off(says_so: bool) -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Length": str(10**9)} if says_so else {})
        await response.prepare(request)
        while sent < 10**9:
            await response.write(bytes(1024))
            sent += 1024
        return response

    async with served(answer) as (cdn, address):
        assert await code_of(cdn.fetch(address, "x.ogg")) == "audio_too_large"
    assert sent < 10**8


async def test_what_is_packed_stays_so() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(bytes(10**6)), headers={"Content-Encoding": "gzip"})

    async with served(answer) as (cdn, address):
        assert (await cdn.fetch(address, "x.ogg"))[:2] == b"\x1f\x8b"


async def test_what_is_told_too_slowly_is_given_up() -> None:
    told = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await told.wait()
        return response

    async with served(answer, within=aiohttp.ClientTimeout(total=0.2)) as (cdn, address):
        assert await code_of(cdn.fetch(address, "x.ogg")) == "file_unavailable"
        told.set()


async def test_an_operators_own_cdn_is_the_only_one() -> None:
    cdn = DiscordCdn("http://127.0.0.1:9", most=MOST)
    with pytest.raises(InvalidInput):
        await cdn.fetch(f"{CDN}/x.ogg", "x.ogg")
