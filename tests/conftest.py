"""What all tests share. A test's folder is its category; servers have free ports and throw-away folders."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from tests.support.chorus import RunningChorus, chorus_up
from tests.support.servers import ACK_WAIT, Servers, running_servers
from tests.support.sharing import Sharing

CATEGORIES = {"unit", "integration", "e2e", "deploy", "architecture"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; run by `make test-slow`")
    config.addinivalue_line("markers", "system: needs Debian packages; run by `make test-system`")
    # Tests keep every core busy: a training that steps back for them is one that they wait for.
    os.environ["CHORUS_NICENESS"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test is in one of the categories."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] not in CATEGORIES:
            raise pytest.UsageError(
                f"{item.nodeid} is in no category; its folder must be one of {CATEGORIES}"
            )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Two processes share the tests."""
    return Sharing(config, log)


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """A real nats-server with the shipped permissions and a real S3 server, provisioned."""
    async with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="session")
def chorus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChorus]:
    """All of Chorus, as `make run` starts it, with its console at the end of a pipe. Once for all tests."""
    with chorus_up(tmp_path_factory.mktemp("chorus"), CHORUS_ACK_WAIT=str(ACK_WAIT)) as running:
        yield running


@pytest.fixture
def guild() -> str:
    """A guild that no other test knows."""
    return fresh_guild()


_guilds = iter(range(10**17, 10**18))


def fresh_guild() -> str:
    return str(next(_guilds))
