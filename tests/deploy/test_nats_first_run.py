"""The whole first run with every lock on: TLS, a NATS user and a user of the store for each service.

The bus is listened to by its own server, which writes down all that goes over it.
"""

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chorus.common.local.keys import store_identities, store_secret
from chorus.common.local.process import Process, Program
from chorus.common.local.servers import HOST, WEED_PORTS, free_ports, weed_command
from tests.e2e.test_first_run import EXAMPLES, conversation, pairs
from tests.support.discord.double import running_discord
from tests.support.secured import SecuredNats, secured_nats

pytestmark = pytest.mark.slow

SERVICES = ("trainer", "inference", "speech")
READY_WITHIN, STOPPED_WITHIN, ANSWERED_WITHIN = 600.0, 30.0, 300.0  # seconds
OTHERS = {"CHORUS_OPENAI_KEY": "planted-openai-4c1d", "HF_TOKEN": "hf_planted7b20"}
"""What else an operator may hand to a service and to nobody else."""


@dataclass(frozen=True)
class Deployment:
    """Servers and services, each with its own keys."""

    folder: Path
    nats: SecuredNats
    store: str

    def environment(self, user: str) -> dict[str, str]:
        """What `user` is given, and nothing of others."""
        return {
            **self.nats.environment(user),
            "CHORUS_S3_ENDPOINT": self.store,
            "CHORUS_S3_ACCESS_KEY": user,
            "CHORUS_S3_SECRET_KEY": store_secret(self.nats.keys, user),
            "CHORUS_CACHE": str(self.folder / f"cache-{user}"),
            **OTHERS,
        }

    async def run(self, user: str, *command: str, words: str = "", **more: str) -> tuple[int, str]:
        """Run something as `user` to its end: its exit code, and what it shows."""
        with (self.folder / f"{user}.log").open("a") as log:
            done = await asyncio.to_thread(
                subprocess.run,
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment(user), **more},
                input=words,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                timeout=ANSWERED_WITHIN,
                check=False,
            )
        return done.returncode, done.stdout

    def logs(self) -> dict[str, str]:
        """What all parts have written down, by its file's name; NATS's holds all that went over the bus."""
        return {path.name: path.read_text("utf-8", "replace") for path in self.folder.glob("*.log")}

    def secrets(self) -> dict[str, str]:
        """All that must be seen nowhere, by what it is."""
        keys = [path for path in self.nats.keys.iterdir() if path.suffix in {".nk", ".s3"}]
        return {path.name: path.read_text().strip() for path in keys} | OTHERS


@pytest.fixture(scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "examples").symlink_to(EXAMPLES)
    async with secured_nats(folder, 1, "-V") as nats, AsyncExitStack() as stack:
        store = await stack.enter_async_context(running(a_store(folder, nats.keys), folder))
        place = Deployment(folder, nats, store.program.ready_url)
        chorus = Path(sysconfig.get_path("scripts")) / "chorus"
        code, told = await place.run("provisioner", str(chorus), "provision")
        assert code == 0, told + place.logs()["provisioner.log"]
        services = [running(a_service(place, name), folder) for name in SERVICES]
        await asyncio.gather(*(stack.enter_async_context(service) for service in services))
        yield place


@asynccontextmanager
async def running(program: Program, folder: Path) -> AsyncIterator[Process]:
    process = Process(program, folder / f"{program.name}.log")
    await process.start()
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop(STOPPED_WITHIN)


def a_store(folder: Path, keys: Path) -> Program:
    data = folder / "store"
    data.mkdir()
    ports = free_ports(len(WEED_PORTS))
    return Program(
        name="store",
        command=weed_command(data, ports, store_identities(keys)),
        ready_url=f"http://{HOST}:{ports[0]}",
        environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        folder=data,
        ready_within=READY_WITHIN,
        any_answer=True,
    )


def a_service(place: Deployment, name: str) -> Program:
    (port,) = free_ports(1)
    return Program(
        name=name,
        command=[sys.executable, "-m", f"chorus.{name}"],
        ready_url=f"http://{HOST}:{port}/readyz",
        environment={**place.environment(name), "CHORUS_HEALTH_PORT": str(port), "CHORUS_LOG_LEVEL": "debug"},
        folder=place.folder,
        ready_within=READY_WITHIN,
    )


async def test_the_readmes_first_run(deployment: Deployment) -> None:
    expected = pairs(EXAMPLES / "first-run.json")
    script = (EXAMPLES / "first-run.txt").read_text("utf-8")
    code, shown = await deployment.run(
        "gateway", sys.executable, "-m", "chorus.gateway", words=script, CHORUS_CONSOLE="true"
    )
    told = conversation(shown.splitlines())
    assert {question: told.get(question) for question in expected} == expected, shown
    assert code == 0
    assert not refusals(deployment)


async def test_no_secret_is_logged_or_goes_over_the_bus(deployment: Deployment) -> None:
    async with running_discord() as discord:
        _, channel, admin = discord.guild()
        given = {f"CHORUS_{name.upper()}": value for name, value in discord.settings().items()}
        gateway = a_service(deployment, "gateway")
        environment = {**gateway.environment, **given, "CHORUS_CONSOLE": "false"}
        program = Program(**{**vars(gateway), "name": "discord", "environment": environment})
        async with running(program, deployment.folder) as process:
            await discord.until(lambda: "Logged in as chorus" in process.log.read_text(), ANSWERED_WITHIN)
            await discord.say(channel, admin, f"<@{discord.bot.id}> The word is planted-by-a-person.")
            await discord.until(lambda: discord.said(channel), ANSWERED_WITHIN)
    logs = deployment.logs()
    assert "planted-by-a-person" in logs["nats-0.log"], "all that goes over the bus is seen here"
    secrets = {**deployment.secrets(), "Discord's token": discord.token}
    assert len(secrets) > 10
    seen = {(what, log) for what, secret in secrets.items() for log, text in logs.items() if secret in text}
    assert not seen
    assert not refusals(deployment)


def refusals(deployment: Deployment) -> list[str]:
    """What somebody was not allowed, by NATS or by the store: the contracts should name all they need."""
    refused = re.compile(r"bus refused|Permissions Violation|AccessDenied|not_permitted")
    return [line for text in deployment.logs().values() for line in text.splitlines() if refused.search(line)]
