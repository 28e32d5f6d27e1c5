"""The stack, in order: servers, provision, services, console; and down again in reverse.

    async with running(settings, screen) as stack:
        code = await stack.console()

A part that does not come up ends the start with its own words; everything already started is stopped.
"""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from chorus.common.base_model import STARTER
from chorus.common.local.addresses import Addresses
from chorus.common.local.console import end_console, explained, start_console
from chorus.common.local.folder import DataFolder
from chorus.common.local.keys import nats_users, store_identities, store_secret
from chorus.common.local.nats import local_config
from chorus.common.local.process import Process, Program
from chorus.common.local.screen import Screen
from chorus.common.local.servers import (
    HOST,
    nats_command,
    weed_command,
)
from chorus.common.local.supervisor import Supervisor
from chorus.common.provision import ProvisionSettings, provision
from chorus.common.settings import PREFIX, given_settings

SERVICES = ("trainer", "inference", "speech")
STOP_SERVICE, STOP_SERVER = 25.0, 10.0  # seconds until a part that was asked to stop is killed
READY_SERVER = 30.0  # seconds


class StackSettings(BaseSettings):
    """What may be chosen for a stack on one machine. Everything else is passed on to the services."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    data: Path = Path(".chorus")
    """Folder for everything that is kept: models, jobs, objects, keys, logs."""
    base_model: str = STARTER
    """The base model: `starter`, a local folder, or a model of the Hugging Face hub."""
    nats_port: int = Field(default=0, ge=0, le=65535)
    """Where NATS listens; 0 takes any free port."""
    ready_within: float = Field(default=600.0, gt=0)
    """Seconds a service may take to become ready; a large base model takes a while to load."""
    ack_wait: float = Field(default=60.0, ge=1)
    """Seconds that a silent worker keeps its job."""


class Stack:
    """Chorus on one machine. Make it with `running`."""

    def __init__(
        self, settings: StackSettings, folder: DataFolder, screen: Screen, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._screen = screen
        self._stack = stack
        self._users = {user.name: user for user in nats_users(folder.keys)}
        self._identities = store_identities(folder.keys)
        self.addresses = Addresses.chosen(SERVICES, settings.nats_port)
        self.processes: list[Process] = []

    async def start(self) -> None:
        """Start all but the console, and wait until each part is ready."""
        await self.start_servers()
        await self._bring_up([self.service(name) for name in SERVICES], STOP_SERVICE)

    async def start_servers(self) -> None:
        """Start NATS and S3, with all that the services need in them."""
        await self._bring_up([self._nats(), self._weed()], STOP_SERVER)
        with self._screen.step("provision"):
            await provision(self._provision_settings())

    async def _bring_up(self, programs: Sequence[Program], grace: float) -> None:
        """Start programs side by side; they will be stopped side by side, too."""
        processes = [Process(program, self._folder.logs / f"{program.name}.log") for program in programs]
        self.processes += processes

        async def stop() -> None:
            await asyncio.gather(*(process.stop(grace) for process in processes))

        self._stack.push_async_callback(stop)
        try:
            async with asyncio.TaskGroup() as group:
                for process in processes:
                    group.create_task(self._bring_up_one(process))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _bring_up_one(self, process: Process) -> None:
        with self._screen.step(process.program.name):
            await process.start()
            await process.until_ready()

    @contextmanager
    def announced(self) -> Generator[None]:
        """Say where everything is while it is there, for programs that join, and for Prometheus."""
        where = {name: url for name, url, _ in self.summary()}
        told = {
            self._folder.stack: {**where, "keys": str(self._folder.keys)},
            self._folder.prometheus: [
                {"labels": {"job": name}, "targets": [f"{HOST}:{port}"]}
                for name, port in self.addresses.health.items()
            ],
        }
        for path, what in told.items():
            whole = self._folder.tmp / path.name
            whole.write_text(json.dumps(what, indent=2) + "\n")
            shutil.move(whole, path)
        try:
            yield
        finally:
            for path in told:
                path.unlink(missing_ok=True)

    # --- what runs -------------------------------------------------------------------------------
    def _nats(self) -> Program:
        config = self._folder.nats / "nats-server.conf"
        ports = self.addresses
        config.write_text(
            local_config(
                list(self._users.values()),
                host=HOST,
                port=ports.nats,
                monitor_port=ports.nats_monitor,
                store=self._folder.nats / "jetstream",
            )
        )
        return Program(
            name="nats",
            command=nats_command(config),
            ready_url=f"http://{HOST}:{ports.nats_monitor}/healthz",
            environment={},
            folder=self._folder.nats,
            ready_within=READY_SERVER,
        )

    def _weed(self) -> Program:
        return Program(
            name="s3",
            command=weed_command(self._folder.s3, self.addresses.weed, self._identities),
            ready_url=f"http://{HOST}:{self.addresses.weed[0]}/",
            environment={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},  # whose these are may do all
            folder=self._folder.s3,
            ready_within=READY_SERVER,
            any_answer=True,
        )

    def service(self, name: str) -> Program:
        """How one of our services is run here."""
        return Program(
            name=name,
            command=[sys.executable, "-m", f"chorus.{name}"],
            ready_url=f"http://{HOST}:{self.addresses.health[name]}/readyz",
            environment={**given_settings(), **self.environment(name), f"{PREFIX}DISCORD_TOKEN": ""},
            folder=Path.cwd(),
            ready_within=self._settings.ready_within,
        )

    def environment(self, user: str) -> dict[str, str]:
        """What a process that acts as `user` needs to find and open everything."""
        settings = {
            "NATS_URL": f"nats://{HOST}:{self.addresses.nats}",
            "NATS_NKEY_FILE": str(self._users[user].seed_file),
            "S3_ENDPOINT": f"http://{HOST}:{self.addresses.weed[0]}",
            "S3_ACCESS_KEY": user,
            "S3_SECRET_KEY": store_secret(self._folder.keys, user),
            "HEALTH_PORT": str(self.addresses.health.get(user, 0)),
            "CACHE": str(self._folder.cache),
            "ACK_WAIT": str(self._settings.ack_wait),
        }
        ours = {f"{PREFIX}{name}": value for name, value in settings.items()}
        return {**ours, "TMPDIR": str(self._folder.tmp)}

    def _provision_settings(self) -> ProvisionSettings:
        given = self.environment("provisioner")
        return ProvisionSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in given.items()})

    # --- the console -----------------------------------------------------------------------------
    async def console(self, words: Sequence[str] = ()) -> int:
        """Run the gateway's console, or one command, in this terminal until it ends; returns its exit code.

        It stays in the launcher's process group: Ctrl-C reaches both, and both know what to do. Meanwhile
        what dies is started again. Raises `Unavailable` when a part has to be given up, `Misconfigured` when
        the gateway cannot start.
        """
        log = self._folder.logs / "gateway.log"
        child = await start_console(self.environment("gateway"), log, words)
        self._stack.push_async_callback(end_console, child)

        def tell(message: str) -> None:
            self._screen.notice(message)
            with suppress(ProcessLookupError):  # has the prompt drawn anew, below the notice
                child.send_signal(signal.SIGWINCH)

        return explained(await _first_to_end(child.wait(), Supervisor(self.processes, tell).watch()), log)

    def notes(self) -> list[str]:
        """What else to know."""
        base = self._settings.base_model
        toy = ", a toy; CHORUS_BASE_MODEL names a real one" if base == STARTER else ""
        operator = f"--nkey {_shown(self._users['operator'].seed_file)} --inbox-prefix _INBOX.operator"
        return [
            f"base model  {base}{toy}",
            f"data        {_shown(self._folder.root)}",
            f"operate     nats --server nats://{HOST}:{self.addresses.nats} {operator}",
        ]

    def summary(self) -> list[tuple[str, str, str]]:
        """What runs where: name, address, log file."""
        here = self.addresses
        where = {"nats": f"nats://{HOST}:{here.nats}", "s3": f"http://{HOST}:{here.weed[0]}"}
        where |= {name: f"http://{HOST}:{port}/metrics" for name, port in here.health.items()}
        return [(name, address, _shown(self._folder.logs / f"{name}.log")) for name, address in where.items()]


def _shown(path: Path) -> str:
    """A path as a person here would type it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


async def _first_to_end(console: Coroutine[Any, Any, int], watch: Coroutine[Any, Any, None]) -> int:
    """The console's exit code, or the error of the watch over the other parts, whichever comes first."""
    ending, watching = asyncio.create_task(console), asyncio.create_task(watch)
    try:
        await asyncio.wait({ending, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            watching.result()
        return await ending
    finally:
        for task in (ending, watching):
            task.cancel()
        await asyncio.wait({ending, watching})


@asynccontextmanager
async def running(settings: StackSettings, screen: Screen) -> AsyncGenerator[Stack]:
    """The whole stack, ready; stopped on leaving, whatever happened."""
    folder = DataFolder(settings.data)
    with folder.held():
        try:
            async with AsyncExitStack() as stack:
                local = Stack(settings, folder, screen, stack)
                try:
                    with screen.starting():
                        await local.start()
                    stack.enter_context(local.announced())
                    yield local
                finally:
                    screen.stopping()
        finally:
            screen.stopped()
