"""Real servers for tests: nats-server with the permissions that ship, and an S3 server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from chorus.common.bus.connection import Connection, connect
from chorus.common.bus.discovery import Identity
from chorus.common.bus.responder import Responder
from chorus.common.local.folder import DataFolder
from chorus.common.local.process import Process
from chorus.common.local.screen import Screen
from chorus.common.local.stack import Stack, StackSettings
from chorus.common.objects import ObjectStore, open_store
from chorus.common.settings import PREFIX, CommonSettings
from chorus.common.telemetry.metrics import RequestMetrics

ACK_WAIT = 2.0  # seconds: a dead worker's job comes back soon


@dataclass(frozen=True)
class Servers:
    """Addresses and keys, in the form in which services get them."""

    stack: Stack

    @property
    def nats(self) -> Process:
        """The nats-server."""
        return self.stack.processes[0]

    @property
    def s3(self) -> Process:
        """The S3 server."""
        return self.stack.processes[1]

    def settings(self, user: str) -> CommonSettings:
        """The settings of a service that acts as `user`."""
        given = self.stack.environment(user)
        return CommonSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})

    @asynccontextmanager
    async def connected(self, user: str) -> AsyncIterator[Connection]:
        """A connection as `user`."""
        settings = self.settings(user)
        closed: list[str] = []
        async with connect(
            settings.nats_url, user=user, nkey_file=settings.nats_nkey_file, on_closed=closed.append
        ) as connection:
            yield connection

    @asynccontextmanager
    async def serving(
        self,
        user: str,
        declare: Callable[[Responder], None],
        *,
        slots: int = 8,
        backlog: int = 8,
        grace: float = 5.0,
    ) -> AsyncIterator[None]:
        """A service that acts as `user`, with the endpoints that `declare` gives it, stopped as ours are."""
        async with self.connected(user) as connection:
            identity = Identity(user, "abc", "1.0.0", "For tests")
            metrics = RequestMetrics(CollectorRegistry())
            responder = Responder(connection, identity, metrics, slots=slots, backlog=backlog, grace=grace)
            declare(responder)
            async with responder:
                yield

    def store(self) -> ObjectStore:
        """The object store."""
        return open_store(self.settings("trainer"))


@asynccontextmanager
async def running_servers(folder: Path) -> AsyncIterator[Servers]:
    """NATS and S3, provisioned, stopped on leaving."""
    data = DataFolder(folder)
    with data.held():
        async with AsyncExitStack() as stack:
            local = Stack(StackSettings(data=folder, ack_wait=ACK_WAIT), data, Screen(), stack)
            await local.start_servers()
            yield Servers(local)
