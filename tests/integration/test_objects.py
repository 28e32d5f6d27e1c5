"""Objects on a real S3 server: whole, hashed, immutable; errors in words."""

import hashlib
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

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
