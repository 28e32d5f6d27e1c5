"""What integration tests of data share: a trainer, and a guild's side of the bus."""

from collections.abc import AsyncIterator

import pytest

from chorus.common.bus.connection import Connection
from chorus.common.contracts.topology import JOBS, TRAIN
from chorus.common.local.process import Process
from tests.support.servers import Servers
from tests.support.training import Gateway, a_gateway, a_trainer


@pytest.fixture(scope="module", autouse=True)
async def _empty_queue(servers: Servers) -> None:
    """What other files' tests left in the queue must not be done in this one's."""
    async with servers.connected("provisioner") as connection:
        for stream in (TRAIN, f"KV_{JOBS}"):
            await connection.jetstream().purge_stream(stream)


@pytest.fixture(scope="module")
async def trainer(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    async with a_trainer(servers, tmp_path_factory.mktemp("trainer")) as process:
        yield process


@pytest.fixture
async def gateway(servers: Servers, guild: str, trainer: Process) -> AsyncIterator[Gateway]:
    async with a_gateway(servers, guild) as gateway:
        yield gateway


@pytest.fixture
async def operator(servers: Servers) -> AsyncIterator[Connection]:
    async with servers.connected("operator") as connection:
        yield connection
