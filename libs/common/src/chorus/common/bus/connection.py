"""The connection to NATS: nats-py's client with its measured traps closed.

- A payload within the server's limit whose headers push it over makes the server cut the client off,
  and nats-py then never reconnects: our own cap, below the server's, counts both.
- A publish or request that the server refuses is answered by nothing at all, and a request waits for
  its time-out: the refusal arrives apart, as an error of the connection, and is matched by subject here.
- A flush may overtake what it should flush, and so does a subscription that is then believed to stand. One
  that is cancelled, or out of time, makes the connection deaf for good.
- A server that does not ask for TLS is told nothing where TLS was asked for (`bus.tls`).
- Reconnecting goes on for ever, with a jitter; when nats-py still closes for good, the owner is told.
- A request during an outage is kept back until the bus is back, or its time is up. Who wants to know sooner
  gives up after a while: whatever is asked then, or waits for its answer, is refused at once.
"""

import asyncio
import random
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import nkeys
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import FlushTimeoutError
from prometheus_client import CollectorRegistry

from chorus.common.bus.absence import Absence, bus_away
from chorus.common.bus.inboxes import inbox_prefix
from chorus.common.bus.tls import explained, insist_on_tls, trusted, without_password
from chorus.common.contracts.wire import MAX_MESSAGE_BYTES
from chorus.common.errors import Misconfigured, NotPermitted, TooLarge, Unavailable
from chorus.common.telemetry.metrics import BusMetrics

CONNECT_WITHIN = 10.0  # seconds; a service that finds no bus says so and ends, its supervisor tries again
RECONNECT_WAIT = (0.5, 1.0)  # seconds between attempts, anything in between
PING_EVERY = 10  # seconds; two unanswered pings mean that the server is gone
PATIENCE = 600  # seconds for an answer to a ping; who waits for it may give up sooner
PENDING_BYTES = 2 * 1024 * 1024  # what may wait to be sent during an outage

REFUSED = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)

log = structlog.get_logger()

T = TypeVar("T")


class Connection(Client):
    """A NATS client that fails fast and says why. Make one with `connect`."""

    def __init__(
        self,
        on_closed: Callable[[str], None],
        give_up_after: float | None = None,
        metrics: BusMetrics | None = None,
    ) -> None:
        super().__init__()
        self.absence = Absence(give_up_after)
        self.metrics = metrics or BusMetrics(CollectorRegistry())
        self._on_closed = on_closed
        self._leaving = False
        self.insists_on_tls = False
        self._refusals: dict[str, set[asyncio.Future[None]]] = {}

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish. Raises `TooLarge` over `MAX_MESSAGE_BYTES`, headers included."""
        size = len(payload) + sum(len(k) + len(v) + 4 for k, v in (headers or {}).items())
        if size > MAX_MESSAGE_BYTES:
            raise TooLarge(
                f"A message of {size // 1024} KiB is over the limit of {MAX_MESSAGE_BYTES // 1024} KiB. "
                "Send it as a file."
            )
        await super().publish(subject, payload, reply, headers)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 5.0,  # noqa: ASYNC109 - the base class's
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Request. Raises `NotPermitted` as soon as the server refuses, not when the time is up.

        Raises `Unavailable` when the bus has been away for too long.
        """
        self.absence.refuse()
        with self.refusal_of(subject) as refusal:
            answer = asyncio.ensure_future(super().request(subject, payload, timeout, old_style, headers))
            away = self.absence.felt
            try:
                await asyncio.wait({answer, refusal, away}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not answer.cancel() and not answer.cancelled():
                    answer.exception()  # seen, so that asyncio does not warn of it where the caller has left
            if refusal.done():
                refusal.result()
            if away.done() and not answer.done():
                raise bus_away()
            return await answer

    async def flush(self, timeout: int = 10) -> None:  # noqa: ASYNC109 - the base class's
        """Return when the server has taken all that was sent so far. Raises nats-py's `FlushTimeoutError`.

        Who waits may be cancelled, or lose patience; what was asked of the server may not: an answer that
        nobody waits for ends nats-py's reading, and the connection never hears anything again.
        """
        asked = asyncio.ensure_future(self._ask_twice())
        asked.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # seen by somebody
        if not (await asyncio.wait({asked}, timeout=timeout))[0]:
            raise FlushTimeoutError
        asked.result()

    async def _ask_twice(self) -> None:
        # nats-py writes its ping ahead of commands that still wait to be written, so that one round trip
        # proves nothing about them; after it they are written, and the second one does.
        await super().flush(PATIENCE)
        await super().flush(PATIENCE)

    async def listen(self, subject: str, **options: Any) -> Subscription:
        """Subscribe, and know on return that the server has taken it. Raises `NotPermitted`."""
        with self.refusal_of(subject) as refusal:
            subscription = await self.subscribe(subject, **options)
            await self.flush()
            if refusal.done():
                refusal.result()
        return subscription

    async def unless_refused(self, subject: str, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, which publishes to `subject`. Raises `NotPermitted` once that is refused."""
        with self.refusal_of(subject) as refusal:
            doing = asyncio.ensure_future(work)
            try:
                await asyncio.wait({doing, refusal}, return_when=asyncio.FIRST_COMPLETED)
                if refusal.done():
                    refusal.result()
                return await doing
            finally:
                doing.cancel()

    @contextmanager
    def refusal_of(self, subject: str) -> Generator[asyncio.Future[None]]:
        """A future that fails with `NotPermitted` when the server refuses this subject meanwhile."""
        refusal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refusals.setdefault(subject, set()).add(refusal)
        try:
            yield refusal
        finally:
            self._refusals[subject].discard(refusal)
            if not self._refusals[subject]:
                del self._refusals[subject]
            if not refusal.cancel():
                refusal.exception()  # seen, so that asyncio does not warn of it

    async def on_error(self, error: Exception) -> None:
        """nats-py's error callback: refusals go to who waits for them, all else to the log."""
        refused = REFUSED.search(str(error))
        if refused is None:
            self.metrics.failed(error)
            log.warning("bus error", error=str(error) or type(error).__name__)
            return
        deed, subject = refused[1].lower(), refused[2]
        told = NotPermitted(f"This NATS user may not {_VERBS[deed]} {subject!r}.", code="bus_not_permitted")
        # nats-py lower-cases the server's text, so subjects are compared without case.
        waiting = {f for s, fs in self._refusals.items() if s.lower() == subject.lower() for f in fs}
        self.metrics.refused(deed)
        log.warning("bus refused", deed=deed, subject=subject, awaited=bool(waiting))
        for refusal in waiting:
            if not refusal.done():
                refusal.set_exception(told)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # A server's greeting, before anything is said to it.
        if self.insists_on_tls and initial_connection:
            insist_on_tls(info)
        await super()._process_info(info, initial_connection)

    async def on_closed(self) -> None:
        """nats-py's callback: it has ended for good, which the owner has to know."""
        if not self._leaving:
            self._on_closed(f"the connection to NATS closed for good: {self.last_error}")

    async def on_disconnected(self) -> None:
        """nats-py's callback: an outage begins."""
        if not self._leaving:
            self.absence.begin()
            self.metrics.disconnected()
            log.warning("bus disconnected", error=str(self.last_error or "") or None)

    async def on_reconnected(self) -> None:
        """nats-py's callback: the outage is over."""
        self.absence.end()
        self.metrics.connected()
        server = self.connected_url
        log.info("bus reconnected", server=f"{server.hostname}:{server.port}" if server else None)

    async def leave(self) -> None:
        """Send what waits, and close."""
        self._leaving = True
        if self.is_connected:
            await self.flush()
        with suppress(ConnectionError):  # what waits to be sent during an outage is lost with us
            await self.close()


_VERBS = {"publish": "publish to", "subscription": "subscribe to"}


@asynccontextmanager
async def connect(
    url: str,
    *,
    user: str,
    nkey_file: Path | None,
    ca_file: Path | None = None,
    on_closed: Callable[[str], None],
    within: float = CONNECT_WITHIN,
    give_up_after: float | None = None,
    metrics: BusMetrics | None = None,
) -> AsyncGenerator[Connection]:
    """Connect as `user`, whose inboxes are `_INBOX.<user>.>`; on leaving, send what waits and close.

    `on_closed` is called if the connection ends for good while it is in use. After `give_up_after` seconds
    of an outage requests are refused until it ends, with `bus_unavailable`; with None they wait.
    Where the address (`tls://`) or a `ca_file` asks for TLS, nothing is said in plain text.
    Raises `Unavailable` when no server lets us in `within` seconds, `Misconfigured` when none is believed.
    """
    connection = Connection(on_closed, give_up_after, metrics)
    await _join(connection, url, user, nkey_file, trusted(url.split(","), ca_file), within)
    connection.metrics.connected()
    try:
        yield connection
    finally:
        await connection.leave()


async def _join(
    connection: Connection,
    url: str,
    user: str,
    nkey_file: Path | None,
    trust: ssl.SSLContext | None,
    within: float,
) -> None:
    """Be let in by one of the servers. Raises as `connect` does."""
    connection.insists_on_tls = trust is not None
    try:
        async with asyncio.timeout(within):
            await connection.connect(
                url.split(","),
                name=user,
                nkeys_seed=str(nkey_file) if nkey_file else None,
                tls=trust,
                inbox_prefix=inbox_prefix(user).encode(),
                error_cb=connection.on_error,
                closed_cb=connection.on_closed,
                disconnected_cb=connection.on_disconnected,
                reconnected_cb=connection.on_reconnected,
                connect_timeout=3,
                max_reconnect_attempts=-1,
                reconnect_time_wait=random.uniform(*RECONNECT_WAIT),  # pyright: ignore[reportArgumentType] - int, it says
                ping_interval=PING_EVERY,
                max_outstanding_pings=2,
                pending_size=PENDING_BYTES,
            )
    except TimeoutError:
        if mend := explained(url, connection.last_error):
            raise mend from None
        because = f" ({connection.last_error})" if connection.last_error else ""
        raise Unavailable(
            f"No NATS server lets {user} in at {without_password(url)}{because}. Is it running, and are "
            "CHORUS_NATS_URL and CHORUS_NATS_NKEY_FILE right?",
            code="bus_unavailable",
        ) from None
    except OSError as error:
        raise Misconfigured(f"CHORUS_NATS_NKEY_FILE: {error.filename} cannot be read.") from None
    except NatsError as error:
        raise Misconfigured(f"CHORUS_NATS_URL: {without_password(url)} is no address ({error}).") from None
    except nkeys.NkeysError:
        raise Misconfigured(
            f"CHORUS_NATS_NKEY_FILE: {nkey_file} holds no seed of an nkey. `chorus keys` makes them."
        ) from None
