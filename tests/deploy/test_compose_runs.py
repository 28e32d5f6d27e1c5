"""What compose.yaml would start, started without containers: with its commands, settings and secrets.

Only what containers bring is put in place: paths, names of hosts, and free ports.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chorus.common.local.deployment import make_keys
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, WEED_PORTS, binary, free_ports
from tests.deploy.test_compose import FOLDER, SERVICES, own_secrets, with_defaults


@dataclass(frozen=True)
class Machine:
    """The folders and ports that take the place of containers."""

    folder: Path
    nats: int
    monitor: int
    weed: list[int]

    def here(self, service: str, text: str) -> str:
        """A path or an address of a container, as it is called on this machine."""
        folder = self.folder / service
        places = {
            "/run/secrets": str(folder / "secrets"),
            "/etc/nats": str(FOLDER.parent / "nats"),
            "/data": str(folder / "data"),
            "/tmp": str(folder),
            "nats:4222": f"localhost:{self.nats}",
            "s3:8333": f"localhost:{self.weed[0]}",
        }
        return re.sub("|".join(places), lambda found: places[found[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        """Its variables; its secrets lie where these say."""
        secrets = self.folder / service / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        (self.folder / service / "data").mkdir(exist_ok=True)
        for target, source in own_secrets(SERVICES[service]).items():
            (secrets / target).write_bytes((self.folder / "keys" / source).read_bytes())
        given = {
            name: with_defaults(value) for name, value in SERVICES[service].get("environment", {}).items()
        }
        return {name: self.here(service, value) for name, value in given.items()}

    def process(self, service: str, command: list[str], ready: str, **environment: str) -> Process:
        """One service of the file, not yet started."""
        program = Program(
            name=service,
            command=command,
            ready_url=ready,
            environment={**self.environment(service), **environment},
            folder=self.folder / service,
            ready_within=60.0,
        )
        return Process(program, self.folder / f"{service}.log")


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Machine]:
    """NATS and the object store, as compose starts them."""
    folder = tmp_path_factory.mktemp("compose")
    make_keys(folder / "keys", ["nats", "localhost"])
    nats, monitor, *weed = free_ports(2 + len(WEED_PORTS))
    machine = Machine(folder, nats, monitor, weed)
    async with started(nats_of(machine), store_of(machine)):
        yield machine


def nats_of(machine: Machine) -> Process:
    public = (machine.folder / "keys/nats.env").read_text()
    keys = dict(line.split("=") for line in public.splitlines())
    command = [machine.here("nats", word) for word in SERVICES["nats"]["command"][1:]]
    ports = [f"--addr={HOST}", f"--port={machine.nats}", f"--http_port={machine.monitor}"]
    ready = f"http://{HOST}:{machine.monitor}/healthz?js-server-only=true"
    return machine.process("nats", [binary("nats-server"), *command, *ports], ready, **keys)


def store_of(machine: Machine) -> Process:
    command = [machine.here("s3", word) for word in SERVICES["s3"]["command"]]
    ports = [f"-{name}={port}" for name, port in zip(WEED_PORTS, machine.weed, strict=True)]
    mine = [f"-ip={HOST}", f"-ip.bind={HOST}", *ports]
    given = [word for word in command if not word.startswith(("-ip", "-s3.port="))]
    ready = f"http://{HOST}:{machine.weed[0]}/healthz"
    return machine.process("s3", [binary("weed"), *given, *mine], ready)


@asynccontextmanager
async def started(*processes: Process) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for process in processes:
            await process.start()
            stack.push_async_callback(process.stop, 10.0)
        for process in processes:
            await process.until_ready()
        yield


async def test_a_service_gets_ready_on_servers_that_were_provisioned_as_the_file_says(
    machine: Machine,
) -> None:
    provision = SERVICES["provision"]["command"]
    environment = {**os.environ, **machine.environment("provision")}
    command = [sys.executable, "-m", "chorus.common.cli", *provision[1:]]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=machine.folder / "provision",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    (port,) = free_ports(1)
    speech = machine.process(
        "speech",
        [sys.executable, "-m", "chorus.speech"],
        f"http://{HOST}:{port}/readyz",
        CHORUS_HEALTH_PORT=str(port),
    )
    async with started(speech):
        assert speech.child.returncode is None
