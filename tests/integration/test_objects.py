"""Objects on a real S3 server: whole, hashed, immutable; errors in words."""

import hashlib
import os
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from chorus.common.contracts.storage import FILES
from chorus.common.errors import Misconfigured, NotFound, Unavailable
from chorus.common.local.servers import free_ports
from chorus.common.objects import CorruptObject, open_store
from tests.support.servers import Servers


async def test_bytes_come_back(servers: Servers, guild: str) -> None:
    store = servers.store()
    data = os.urandom(3_000_000)
    ref = await store.put(FILES, f"{guild}/thing", data)
    assert ref.sha256 == hashlib.sha256(data).hexdigest()
    assert await store.get(ref) == data


async def test_files_come_back(servers: Servers, guild: str, tmp_path: Path) -> None:
    store = servers.store()
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20_000_000))  # more than one part
    ref = await store.put_file(FILES, f"{guild}/file", source)
    await store.get_file(ref, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


async def test_a_file_is_kept_under_the_hash_of_its_bytes(
    servers: Servers, guild: str, tmp_path: Path
) -> None:
    store = servers.store()
    path = tmp_path / "file"
    path.write_bytes(os.urandom(9_000_000))  # more than one part
    ref = await store.put_by_hash(FILES, guild, path)
    assert ref == await store.put_by_hash(FILES, guild, path.read_bytes())
    assert ref.key == f"{guild}/{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert await store.get(ref) == path.read_bytes()


async def test_a_link_leads_to_the_bytes_for_a_while(servers: Servers, guild: str) -> None:
    settings = servers.settings("trainer")
    assert servers.store().link(await servers.store().put(FILES, f"{guild}/x", b"x"), "x", 60) is None
    store = open_store(settings, settings.s3_endpoint)
    ref = await store.put(FILES, f"{guild}/thing", b"as it was")
    link = store.link(ref, "Café 1.zip", 60)
    assert link is not None
    async with aiohttp.ClientSession() as session:
        async with session.get(URL(link, encoded=True)) as response:
            assert await response.read() == b"as it was"
            assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Caf%C3%A9%201.zip"
        async with session.get(URL(link.replace("thing", "other"), encoded=True)) as response:
            assert response.status in (403, 404)


def test_a_public_endpoint_that_is_none(servers: Servers) -> None:
    with pytest.raises(Misconfigured, match="CHORUS_PUBLIC_S3_ENDPOINT"):
        open_store(servers.settings("trainer"), "files.example")


async def test_other_bytes_are_refused_and_leave_no_file(
    servers: Servers, guild: str, tmp_path: Path
) -> None:
    store = servers.store()
    ref = await store.put(FILES, f"{guild}/thing", b"as it was")
    await store.put(FILES, f"{guild}/thing", b"as it is!")
    with pytest.raises(CorruptObject):
        await store.get_file(ref, tmp_path / "copy")
    assert not list(tmp_path.iterdir())


async def test_what_is_not_there(servers: Servers, guild: str) -> None:
    store = servers.store()
    ref = await store.put(FILES, f"{guild}/thing", b"x")
    with pytest.raises(NotFound) as error:
        await store.get(ref.model_copy(update={"key": f"{guild}/other"}))
    assert error.value.code == "no_object"


async def test_a_wrong_secret_is_a_setting_to_mend(servers: Servers) -> None:
    settings = servers.settings("trainer").model_copy(update={"s3_secret_key": SecretStr("wrong")})
    with pytest.raises(Misconfigured, match="CHORUS_S3_SECRET_KEY"):
        await open_store(settings).put(FILES, "x", b"x")


async def test_a_server_that_is_not_there(servers: Servers) -> None:
    settings = servers.settings("trainer").model_copy(
        update={"s3_endpoint": f"http://127.0.0.1:{free_ports(1)[0]}"}
    )
    with pytest.raises(Unavailable) as error:
        await open_store(settings).put(FILES, "x", b"x")
    assert error.value.code == "objects_unavailable"


def test_an_endpoint_that_is_none(servers: Servers) -> None:
    settings = servers.settings("trainer").model_copy(update={"s3_endpoint": "127.0.0.1:9000"})
    with pytest.raises(Misconfigured, match="CHORUS_S3_ENDPOINT"):
        open_store(settings)
