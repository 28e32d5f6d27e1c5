"""NATS as it ships in deploy/nats, with keys of `chorus keys`: one server, or a cluster, on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chorus.common.bus.connection import Connection, connect
from chorus.common.local.deployment import make_keys
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, binary, free_ports

SHIPPED = Path(__file__).parent.parent.parent / "deploy" / "nats"
STARTED_WITHIN, STOPPED_WITHIN = 30.0, 10.0  # seconds


@dataclass(frozen=True)
class SecuredNats:
    """Servers that run, and the keys to them."""

    keys: Path
    servers: list[Process]
    ports: list[int]

    @property
    def url(self) -> str:
        """Where services find them."""
        return ",".join(f"tls://{HOST}:{port}" for port in self.ports)

    def environment(self, user: str) -> dict[str, str]:
        """What a service that acts as `user` needs to be let in."""
        return {
            "CHORUS_NATS_URL": self.url,
            "CHORUS_NATS_CA": str(self.keys / "ca.crt"),
            "CHORUS_NATS_NKEY_FILE": str(self.keys / f"{user}.nk"),
        }

    def connected(self, user: str, at: int | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection as `user`, to any of them, or to the one with this number."""
        return connect(
            self.url if at is None else f"tls://{HOST}:{self.ports[at]}",
            user=user,
            nkey_file=self.keys / f"{user}.nk",
            ca_file=self.keys / "ca.crt",
            on_closed=lambda _: None,
        )


@asynccontextmanager
async def secured_nats(
    folder: Path, count: int = 1, *flags: str, config: Path | None = None
) -> AsyncIterator[SecuredNats]:
    """`count` servers by the shipped files, or by `config`, ready; stopped on leaving.

    `flags` are nats-server's own.
    """
    config = config or SHIPPED / ("nats-server.conf" if count == 1 else "cluster.conf")
    keys = folder / "keys"
    make_keys(keys, [HOST])
    ports, monitors, routes = (free_ports(3 * count)[part::3] for part in range(3))
    async with AsyncExitStack() as stack:
        servers = []
        for number in range(count):
            program = _program(folder, config, number, ports[number], monitors[number], routes)
            program = replace(program, command=[*program.command, *flags])
            server = Process(program, folder / f"nats-{number}.log")
            stack.push_async_callback(server.stop, STOPPED_WITHIN)
            await server.start()
            servers.append(server)
        await asyncio.gather(*(server.until_ready() for server in servers))
        yield SecuredNats(keys, servers, ports)


def _program(folder: Path, config: Path, number: int, port: int, monitor: int, routes: list[int]) -> Program:
    keys = folder / "keys"
    public = dict(line.split("=", 1) for line in (keys / "nats.env").read_text().split())
    files = {"NATS_CERT": "nats.crt", "NATS_KEY": "nats.key", "NATS_CA": "ca.crt"}
    command = [
        binary("nats-server"),
        f"--config={config}",
        f"--addr={HOST}",
        f"--port={port}",
        f"--http_port={monitor}",
    ]
    if len(routes) > 1:
        command.append(f"--cluster=nats://{HOST}:{routes[number]}")
    return Program(
        name=f"nats-{number}",
        command=command,
        ready_url=f"http://{HOST}:{monitor}/healthz",
        environment={
            **public,
            **{name: str(keys / file) for name, file in files.items()},
            "NATS_NAME": f"nats-{number}",
            "NATS_STORE": str(folder / f"nats-{number}"),
            "NATS_ROUTES": f"[{', '.join(f'tls://{HOST}:{route}' for route in routes)}]",
        },
        folder=folder,
        ready_within=STARTED_WITHIN,
    )
