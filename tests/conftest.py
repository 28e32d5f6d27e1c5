"""What all tests share. A test's folder is its category; servers have free ports and throw-away folders."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.chorus import RunningChorus, chorus_up
from tests.support.servers import ACK_WAIT, Servers, running_servers

CATEGORIES = {"unit", "integration", "e2e", "deploy", "architecture"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; run by `make test-slow`")
    config.addinivalue_line("markers", "system: needs Debian packages; run by `make test-system`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share the tests; what uses the one running Chorus goes to the same one."""
    for item in items:
        category = item.path.relative_to(Path(__file__).parent).parts[0]
        if category not in CATEGORIES:
            raise pytest.UsageError(
                f"{item.nodeid} is in no category; its folder must be one of {CATEGORIES}"
            )
        if "chorus" in getattr(item, "fixturenames", ()) or category == "e2e":
            item.add_marker(pytest.mark.xdist_group("chorus"))
        elif category == "integration":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


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
