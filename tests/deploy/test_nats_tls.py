"""TLS towards NATS: who is believed, what is told of who is not, and that nothing goes in plain text."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chorus.common.bus.connection import Connection, connect
from chorus.common.errors import ChorusError, Misconfigured, Unavailable
from chorus.common.local.deployment import make_keys
from chorus.common.local.keys import nats_users
from chorus.common.local.servers import HOST, free_ports
from chorus.common.settings import CommonSettings
from tests.support.secured import SecuredNats, secured_nats
from tests.support.servers import Servers


@pytest.fixture(scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SecuredNats]:
    async with secured_nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


async def why_not(url: str, key: Path, ca: Path | None) -> str:
    """What a service that is not let in says, in one sentence or two."""
    with pytest.raises(ChorusError) as error:
        async with connect(
            url, user="gateway", nkey_file=key, ca_file=ca, on_closed=lambda _: None, within=0.5
        ):
            pass
    assert isinstance(error.value, Misconfigured)
    assert "\n" not in error.value.message
    return error.value.message


async def test_a_service_is_let_in_with_its_key_and_the_ca(nats: SecuredNats) -> None:
    settings = CommonSettings.model_validate(
        {name.removeprefix("CHORUS_").lower(): value for name, value in nats.environment("gateway").items()}
    )
    async with connect(
        settings.nats_url,
        user="gateway",
        nkey_file=settings.nats_nkey_file,
        ca_file=settings.nats_ca,
        on_closed=lambda _: None,
    ) as connection:
        assert connection.is_connected


async def test_a_key_that_is_not_in_the_list_is_not_let_in(nats: SecuredNats, tmp_path: Path) -> None:
    stranger = nats_users(tmp_path)[0]
    with pytest.raises(Unavailable, match="No NATS server lets gateway in"):
        async with connect(
            nats.url,
            user=stranger.name,
            nkey_file=stranger.seed_file,
            ca_file=nats.keys / "ca.crt",
            on_closed=lambda _: None,
            within=0.5,
        ):
            pass


async def test_a_server_that_another_ca_has_signed_is_not_believed(nats: SecuredNats, tmp_path: Path) -> None:
    make_keys(tmp_path, [HOST])
    told = await why_not(nats.url, nats.keys / "gateway.nk", tmp_path / "ca.crt")
    assert f"The NATS server at {nats.url} has a certificate that is not believed" in told
    assert "Set CHORUS_NATS_CA" in told


async def test_a_new_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    async with secured_nats(tmp_path) as nats, nats.connected("gateway") as before:
        certificate = shown(before)
        make_keys(nats.keys, renew=True)
        nats.servers[0].child.send_signal(signal.SIGHUP)  # `nats-server --signal reload`
        for _ in range(100):
            async with nats.connected("trainer") as after:
                if shown(after) != certificate:
                    break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("it still shows the old one")
        await before.flush()
        assert before.stats["reconnects"] == 0


def shown(connection: Connection) -> bytes:
    """The certificate that the server has shown."""
    writer: asyncio.StreamWriter = connection._transport._io_writer
    return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def test_without_a_ca_one_of_our_own_is_not_believed(nats: SecuredNats) -> None:
    told = await why_not(nats.url, nats.keys / "gateway.nk", None)
    assert "Set CHORUS_NATS_CA" in told


async def test_a_certificate_for_other_names_is_not_believed(nats: SecuredNats) -> None:
    url = nats.url.replace(HOST, "localhost")
    told = await why_not(url, nats.keys / "gateway.nk", nats.keys / "ca.crt")
    assert "certificate for other names" in told
    assert "--hosts" in told


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_server_in_plain_text_is_told_nothing(
    servers: Servers, nats: SecuredNats, scheme: str
) -> None:
    """It would let us in, and nats-py alone would go."""
    given = servers.settings("gateway")
    assert given.nats_nkey_file is not None
    async with between(port_of(given.nats_url)) as wire:
        url = f"{scheme}://{HOST}:{wire.port}"
        told = await why_not(url, given.nats_nkey_file, nats.keys / "ca.crt")
    assert "speaks plain text" in told
    assert not wire.said


async def test_one_that_speaks_plain_text_later_is_not_joined_again(
    servers: Servers, nats: SecuredNats
) -> None:
    async with (
        between(nats.ports[0]) as wire,
        connect(
            f"tls://{HOST}:{wire.port}",
            user="gateway",
            nkey_file=nats.keys / "gateway.nk",
            ca_file=nats.keys / "ca.crt",
            on_closed=lambda _: None,
        ) as connection,
    ):
        wire.lead_to(port_of(servers.settings("gateway").nats_url))
        async with asyncio.timeout(20):
            while "plain text" not in str(connection.last_error):
                await asyncio.sleep(0.05)
        assert not connection.is_connected
        assert not wire.said
        wire.lead_to(nats.ports[0])
        async with asyncio.timeout(20):
            while not connection.is_connected:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), ("nonsense", "no certificate")])
async def test_a_ca_that_cannot_be_used_is_told(tmp_path: Path, content: str | None, told: str) -> None:
    ca = tmp_path / "ca.crt"
    if content is not None:
        ca.write_text(content)
    said = await why_not("tls://127.0.0.1:1", tmp_path / "gateway.nk", ca)
    assert re.match(rf"CHORUS_NATS_CA: {ca} .*{told}", said)


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


class Wire:
    """A line to a server that somebody listens in on, and may lead elsewhere."""

    def __init__(self, target: int) -> None:
        self.port = free_ports(1)[0]
        self.said = b""
        """What clients have said since it leads where it does."""
        self._target = target
        self._ends: set[asyncio.StreamWriter] = set()

    def lead_to(self, target: int) -> None:
        """Cut all connections; the next ones go there."""
        self._target, self.said = target, b""
        for end in self._ends:
            end.close()

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(HOST, self._target)
        self._ends |= {to_client, to_server}

        async def answers() -> None:
            while data := await server.read(65536):
                to_client.write(data)

        answering = asyncio.create_task(answers())
        try:
            while data := await client.read(65536):
                self.said += data
                to_server.write(data)
        finally:
            answering.cancel()
            for end in (to_client, to_server):
                end.close()
                self._ends.discard(end)


@asynccontextmanager
async def between(target: int) -> AsyncIterator[Wire]:
    wire = Wire(target)
    server = await asyncio.start_server(wire.carry, HOST, wire.port)
    async with server:
        yield wire
        wire.lead_to(target)
