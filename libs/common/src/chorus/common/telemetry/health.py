"""`/metrics`, `/livez` and `/readyz` over HTTP, from a thread of their own.

A thread, because the answer must come when the event loop is stuck: that is when it matters. Alive
means that the loop has turned lately; ready means that the service says so and every check agrees.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, ThreadingWSGIServer
from prometheus_client.registry import Collector

from chorus.common.errors import Misconfigured

STUCK_AFTER = 30.0  # seconds without a turn of the loop; long imports and compilations stay below it
PULSE = 1.0  # seconds between turns that are noted

Check = Callable[[], str | None]
"""Returns what is wrong, in a few words, or None."""


class Health:
    """Whether this process is alive and ready, kept up to date by the service that owns it."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.ready = False
        self._turned = time.monotonic()

    async def beat(self) -> None:
        """Note that the loop turns, for ever."""
        while True:
            self._turned = time.monotonic()
            await asyncio.sleep(PULSE)

    @property
    def silent(self) -> float:
        """Seconds since the loop was last seen to turn; up to `PULSE` is as it should be."""
        return time.monotonic() - self._turned

    def stuck(self) -> str | None:
        """Why the process should be restarted, if it should. While it starts, loading may block the loop."""
        if not self.ready:
            return None
        silent = self.silent
        return f"the event loop has not turned for {silent:.0f} s" if silent > STUCK_AFTER else None

    def unready(self) -> str | None:
        """Why no work should be sent here, if none should."""
        if not self.ready:
            return "starting or stopping"
        wrong = [f"{name}: {reason}" for name, check in self.checks.items() if (reason := check())]
        return "; ".join(wrong) or None


class HealthMetrics(Collector):
    """The same for Prometheus, as it is when somebody reads it; by the health thread, loop or no loop."""

    def __init__(self, health: Health, service: str, version: str) -> None:
        self._health = health
        self._service = service
        self._version = version

    def collect(self) -> Iterable[Metric]:
        """A gauge for each thing to know."""
        info = GaugeMetricFamily("chorus_service_info", "Always 1", labels=["service", "version"])
        info.add_metric([self._service, self._version], 1)
        ready = GaugeMetricFamily("chorus_ready", "1 once the service is up, 0 while it starts or stops")
        ready.add_metric([], self._health.ready)
        silent = GaugeMetricFamily(
            "chorus_event_loop_silent_seconds",
            f"Time since the event loop last turned; up to {PULSE:g} s is as it should be",
        )
        silent.add_metric([], self._health.silent)
        failing = GaugeMetricFamily(
            "chorus_check_failing", "1 where a check says that no work should be sent here", labels=["check"]
        )
        for name, check in list(self._health.checks.items()):
            failing.add_metric([name], check() is not None)
        return info, ready, silent, failing


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Probes come every second: not worth a line."""


def _application(health: Health, registry: CollectorRegistry) -> Callable[..., Iterable[bytes]]:
    probes = {"/livez": health.stuck, "/readyz": health.unready}

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            # As text, whatever is asked for: as OpenMetrics, the client renames vLLM's `vllm:…` to `vllm_…`.
            start_response("200 OK", [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)])
            return [generate_latest(registry)]
        if path not in probes:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"There are /metrics, /livez and /readyz here.\n"]
        wrong = probes[path]()
        start_response("503 Service Unavailable" if wrong else "200 OK", [("Content-Type", "text/plain")])
        return [f"{wrong or 'ok'}\n".encode()]

    return serve


@asynccontextmanager
async def serve_health(
    health: Health, registry: CollectorRegistry, host: str, port: int
) -> AsyncGenerator[tuple[str, int]]:
    """Serve until the context ends; gives the address, which tells the port that 0 became."""
    disable_created_metrics()  # when each series began: as many series again, and nobody asks
    try:
        server = make_server(
            host,
            port,
            _application(health, registry),
            server_class=ThreadingWSGIServer,
            handler_class=_Silent,
        )
    except OSError as error:
        raise Misconfigured(
            f"CHORUS_HEALTH_PORT: {host}:{port} cannot be listened on ({error.strerror}). Choose a free port."
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    pulse = asyncio.create_task(health.beat(), name="health pulse")
    try:
        yield host, server.server_port
    finally:
        pulse.cancel()
        with suppress(asyncio.CancelledError):
            await pulse
        await asyncio.to_thread(server.shutdown)
        server.server_close()
