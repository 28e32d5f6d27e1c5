"""Attached files: found by name, read from one place, never larger than they may be."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chorus.common.errors import ChorusError
from chorus.gateway.frontends.discord.files import AttachedFiles

MOST = 1000  # bytes


@dataclass
class Attached:
    filename: str
    size: int
    url: str


@pytest.fixture
async def cdn() -> AsyncIterator[TestServer]:
    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound("/data.json")

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * (MOST + 1))

    async def data(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(body=b"[]")

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    async def expired(_: web.Request) -> web.Response:
        return web.Response(status=410)

    async def packed(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(bytes(10**5)), headers={"Content-Encoding": "gzip"})

    async def cut_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        assert request.transport
        request.transport.abort()
        return response

    async def letter(request: web.Request) -> web.Response:
        return web.Response(body=request.path.removeprefix("/").encode())

    app = web.Application()
    for path in ("/a", "/b", "/c"):
        app.router.add_get(path, letter)
    app.router.add_get("/data.json", data)
    app.router.add_get("/my_data.json", data)
    app.router.add_get("/redirect", redirect)
    app.router.add_get("/large", large)
    app.router.add_get("/broken", broken)
    app.router.add_get("/expired", expired)
    app.router.add_get("/packed", packed)
    app.router.add_get("/cut_off", cut_off)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


def files(cdn: TestServer, *names: str, size: int = 2, origin: str | None = None) -> AttachedFiles:
    base = str(cdn.make_url("")).rstrip("/")
    return AttachedFiles([Attached(name, size, f"{origin or base}/{name}") for name in names], base, MOST)


async def test_a_file_is_found_by_its_name(cdn: TestServer) -> None:
    attached = files(cdn, "data.json", "my_data.json")
    assert attached.attached() == ["data.json", "my_data.json"]
    upload = await attached.read("data.json")
    assert (upload.name, upload.data) == ("data.json", b"[]")
    assert (await attached.read("my data.json")).name == "my_data.json"


async def test_each_of_several_files_of_one_name_is_found(cdn: TestServer) -> None:
    base = str(cdn.make_url("")).rstrip("/")
    first, second, other = (Attached("audio.ogg", 2, f"{base}/{name}") for name in ("a", "b", "c"))
    attached = AttachedFiles([first, second], base, MOST, answered=[other])
    assert attached.attached() == ["audio.ogg", "audio-2.ogg"]
    assert attached.names([second]) == ("audio-2.ogg",)
    assert attached.names([other]) == ("audio-3.ogg",)
    assert [(await attached.read(name)).data for name in attached.names([first, second, other])] == [
        b"a",
        b"b",
        b"c",
    ]


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        ("data.json", MOST + 1, "too_large"),
        ("large", 2, "too_large"),
        ("redirect", 2, "file_unavailable"),
        ("broken", 2, "file_unavailable"),
        ("gone", 2, "file_gone"),
        ("expired", 2, "file_gone"),
        ("cut_off", 2, "file_unavailable"),
    ],
)
async def test_what_is_wrong_is_told(cdn: TestServer, name: str, size: int, code: str) -> None:
    with pytest.raises(ChorusError) as error:
        await files(cdn, name, size=size).read(name)
    assert error.value.code == code
    assert name in error.value.message


async def test_what_is_packed_stays_so(cdn: TestServer) -> None:
    upload = await files(cdn, "packed").read("packed")
    assert isinstance(upload.data, bytes)
    assert upload.data.startswith(b"\x1f\x8b")


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:1", "http://localhost:1", "https://127.0.0.1", "http://discord.example"]
)
async def test_nothing_is_read_from_elsewhere(cdn: TestServer, origin: str) -> None:
    with pytest.raises(ChorusError) as error:
        await files(cdn, "data.json", origin=origin).read("data.json")
    assert error.value.code == "foreign_file"


async def test_a_file_that_is_not_there_is_told_with_those_that_are(cdn: TestServer) -> None:
    with pytest.raises(ChorusError, match=r"There is no file b here. Attached: data.json."):
        await files(cdn, "data.json").read("b")
    with pytest.raises(ChorusError, match="Attach it to the message"):
        await files(cdn).read("/etc/passwd")


async def test_a_cdn_that_is_not_there_is_told(cdn: TestServer) -> None:
    attached = files(cdn, "data.json")
    await cdn.close()
    with pytest.raises(ChorusError) as error:
        await attached.read("data.json")
    assert error.value.code == "file_unavailable"
