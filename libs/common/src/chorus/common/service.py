"""One process, from its first line to its last: settings, exit stack, signals, stop in three beats.

    def main() -> int:
        return run("trainer", TrainerSettings, build)

`build` enters everything the service is made of on one exit stack; leaving the stack is the shutdown,
in reverse order. Each part stops in three beats of its own: it takes no new work, waits up to the
grace for the work in hand, then aborts the rest in a way that lets another worker take it over.
"""

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any, TypeVar

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry

from chorus.common.errors import ChorusError, Misconfigured
from chorus.common.settings import CommonSettings, load
from chorus.common.telemetry.health import Health, HealthMetrics, serve_health
from chorus.common.telemetry.logging import configure
from chorus.common.telemetry.tracing import exported

EX_CONFIG = 78  # sysexits.h: found in an unconfigured state; restarting does not help
EX_NOPERM = 77  # the same: somebody else has to permit it first
LASTING = (EX_CONFIG, EX_NOPERM)  # whoever starts processes leaves one alone that ended so

log = structlog.get_logger()


class Service:
    """What a service under construction offers to its parts."""

    def __init__(self, name: str, stack: AsyncExitStack) -> None:
        self.name = name
        self.version = version("chorus-common")
        self.id = secrets.token_hex(8)
        self.instance = f"{name}/{socket.gethostname()}-{os.getpid()}"
        self.stack = stack
        self.stopping = asyncio.Event()
        self.health = Health()
        self.registry = CollectorRegistry()
        self.exit_code = 0
        self.failed = ""
        ours = HealthMetrics(self.health, name, self.version)
        for collector in (ours, PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)

    def fail(self, reason: str, exit_code: int = 1) -> None:
        """Stop the service, because it cannot do its work any more; the process exits with this code."""
        if not self.stopping.is_set():
            log.error("service failed", reason=reason)
            self.exit_code, self.failed = exit_code, reason
            self.stopping.set()

    def background(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something for as long as the service lives. If it raises, the service stops."""
        task = asyncio.create_task(work, name=name)

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()):
                log.error("background task failed", task=name, exc_info=error)
                self.fail(f"{name} failed: {error}")

        async def cancel() -> None:
            task.cancel()
            await asyncio.wait([task])

        task.add_done_callback(ended)
        self.stack.push_async_callback(cancel)


Settings = TypeVar("Settings", bound=CommonSettings)
Build = Callable[[Service, Settings], Awaitable[None]]


async def serve(name: str, settings: Settings, build: Build[Settings]) -> int:
    """Build the service, serve until told to stop or failed, take it down; returns the exit code."""
    async with AsyncExitStack() as stack:
        service = Service(name, stack)
        await stack.enter_async_context(exported(name, service.instance, settings.otlp_endpoint))
        host, port = await stack.enter_async_context(
            serve_health(service.health, service.registry, settings.health_host, settings.health_port)
        )
        await build(service, settings)
        # Only now: until here a signal ends the process at once, for there is nothing to drain yet.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, service.stopping.set)
        # What was imported stays: looking through it for garbage stops inference for 0.4 s at a time.
        gc.freeze()
        service.health.ready = True
        log.info("ready", instance=service.instance, health=f"http://{host}:{port}")
        await service.stopping.wait()
        service.health.ready = False
        log.info("stopping")
    log.info("stopped")
    if service.exit_code in LASTING:  # the last words are for a person, not for a log
        print(f"{name} cannot go on. {service.failed}", file=sys.stderr)
    return service.exit_code


def run(name: str, kind: type[Settings], build: Build[Settings]) -> int:
    """The whole life of a service's process. A start that fails ends in one readable line."""
    try:
        settings = load(kind)
        configure(name, settings.log_level, settings.log_format)
        return asyncio.run(serve(name, settings, build))
    except Misconfigured as error:
        print(f"{name} cannot start. {error.message}", file=sys.stderr)
        return EX_CONFIG
    except ChorusError as error:
        print(f"{name} cannot start. {error.message} [{error.code}]", file=sys.stderr)
        return 1
