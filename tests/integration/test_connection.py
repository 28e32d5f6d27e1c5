"""The connection: refusals that say why, a size cap that keeps it alive, and reconnection."""

import asyncio
import time
import traceback
from pathlib import Path

import pytest
from nats.errors import FlushTimeoutError, NoRespondersError

from chorus.common.bus.connection import connect
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES
from chorus.common.errors import ChorusError, Misconfigured, NotPermitted, TooLarge, Unavailable
from chorus.common.local.servers import free_ports
from tests.support.servers import Servers


async def test_a_refused_request_says_why_at_once(servers: Servers) -> None:
    async with servers.connected("inference") as connection:
        started = time.monotonic()
        with pytest.raises(NotPermitted, match=r"may not publish to 'train\.job\.local'") as refused:
            await connection.request("train.job.local", b"{}", timeout=30)
        assert refused.value.code == "bus_not_permitted"
        assert time.monotonic() - started < 5


async def test_a_refused_subscription_says_why(servers: Servers) -> None:
    async with servers.connected("gateway") as connection:
        with pytest.raises(NotPermitted, match=r"may not subscribe to 'train\.control"):
            await connection.listen("train.control.*")


async def test_a_refused_jetstream_call_says_why(servers: Servers) -> None:
    async with servers.connected("gateway") as connection:
        with pytest.raises(NotPermitted):
            await connection.jetstream().delete_stream("TRAIN")


async def test_whoever_stops_waiting_for_a_flush_does_not_make_the_connection_deaf(servers: Servers) -> None:
    async with servers.connected("gateway") as connection:
        waiting = [asyncio.create_task(connection.flush()) for _ in range(20)]
        await asyncio.sleep(0)  # all of them have asked
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        with pytest.raises(FlushTimeoutError):
            await connection.flush(timeout=0)
        async with asyncio.timeout(5):
            await connection.flush()
            with pytest.raises(NoRespondersError):
                await connection.request("infer.v1.generate", b"{}", timeout=30)


async def test_a_request_that_nobody_serves_fails_at_once(servers: Servers) -> None:
    async with servers.connected("gateway") as connection:
        with pytest.raises(NoRespondersError):
            await connection.request("infer.v1.generate", b"{}", timeout=30)


@pytest.mark.parametrize(
    ("payload", "headers"), [(MAX_MESSAGE_BYTES + 1, {}), (MAX_MESSAGE_BYTES, {"X-Any": "thing"})]
)
async def test_too_much_is_refused_here_and_the_connection_lives(
    servers: Servers, payload: int, headers: dict[str, str]
) -> None:
    async with servers.connected("gateway") as connection:
        with pytest.raises(TooLarge, match="over the limit of 512 KiB"):
            await connection.publish("infer.v1.generate", b"x" * payload, headers=headers)
        await connection.flush()
        assert connection.is_connected


async def test_the_largest_message_passes(servers: Servers) -> None:
    async with servers.connected("trainer") as listener, servers.connected("gateway") as connection:
        heard = await listener.listen("train.control.*")
        await connection.publish("train.control.x", b"x" * (MAX_MESSAGE_BYTES - 20), headers={"A": "b"})
        assert len((await heard.next_msg(timeout=5)).data) == MAX_MESSAGE_BYTES - 20


async def test_nobody_reads_anothers_inbox(servers: Servers) -> None:
    async with servers.connected("inference") as connection:
        with pytest.raises(NotPermitted):
            await connection.listen("_INBOX.gateway.>")


async def test_without_a_server_it_says_where_it_looked() -> None:
    url = f"nats://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(Unavailable, match="CHORUS_NATS_URL"):
        async with connect(url, user="gateway", nkey_file=None, on_closed=lambda _: None, within=0.5):
            pass


async def test_without_a_key_it_is_not_let_in(servers: Servers) -> None:
    url = servers.settings("gateway").nats_url
    with pytest.raises(Unavailable, match="No NATS server lets gateway in"):
        async with connect(url, user="gateway", nkey_file=None, on_closed=lambda _: None, within=0.5):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "nats://user:hunter2secret@127.0.0.1:{port}",
        "nats://127.0.0.1:{port},nats://user:hunter2secret@127.0.0.1:{port}",
        "user:hunter2secret@127.0.0.1:{port}",
        "nats://user:hunter2/secret@127.0.0.1:{port}",
        "nats://user:hunter2@secret@127.0.0.1:{port}",
    ],
)
async def test_a_password_in_the_address_is_not_shown(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = url.format(port=free_ports(1)[0])
    with pytest.raises(ChorusError, match=r"127\.0\.0\.1") as refused:
        async with connect(given, user="gateway", nkey_file=None, on_closed=lambda _: None, within=0.5):
            pass
    assert "hunter2" not in "".join(traceback.format_exception(refused.value)) + capsys.readouterr().out


@pytest.mark.parametrize("seed", [b"", b"SUAGARBAGE", b"\xff\x00", b"A" * 58])
async def test_a_damaged_key_is_told_with_its_file(servers: Servers, tmp_path: Path, seed: bytes) -> None:
    file = tmp_path / "gateway.nk"
    file.write_bytes(seed)
    url = servers.settings("gateway").nats_url
    with pytest.raises(Misconfigured, match=r"CHORUS_NATS_NKEY_FILE: .*gateway\.nk holds no seed"):
        async with connect(url, user="gateway", nkey_file=file, on_closed=lambda _: None):
            pass


async def test_a_key_that_is_not_there_is_told_with_its_file(servers: Servers, tmp_path: Path) -> None:
    url, file = servers.settings("gateway").nats_url, tmp_path / "gateway.nk"
    with pytest.raises(Misconfigured, match=r"gateway\.nk cannot be read"):
        async with connect(url, user="gateway", nkey_file=file, on_closed=lambda _: None):
            pass
