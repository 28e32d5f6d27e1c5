"""The gateway's metrics, as verbs."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
PAUSES = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class CommandMetrics:
    """What people asked for, whatever the front-end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "chorus_commands",
            "Commands that were answered, by name and outcome (a problem's code, or ok)",
            ["command", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "chorus_command_seconds",
            "Time until a command was answered: an answer of a model to its last word, a job to its start",
            ["command"],
            buckets=SECONDS,
            registry=registry,
        )
        self._first = Histogram(
            "chorus_first_words_seconds",
            "Time until the first words of a model's answer were there to be shown",
            buckets=SECONDS,
            registry=registry,
        )

    def ended(self, command: str, outcome: str, seconds: float) -> None:
        """One was answered; `outcome` is a problem's code, or `ok`."""
        self._ended.labels(command, outcome).inc()
        self._seconds.labels(command).observe(seconds)

    def first_words(self, seconds: float) -> None:
        """A model has begun to answer."""
        self._first.observe(seconds)


class DiscordMetrics:
    """Being on Discord. Made only where we are to be there: what is away by intention alarms nobody."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def asked(name: str, what: str) -> Gauge:
            return Gauge(f"chorus_discord_{name}", what, registry=registry)

        self._connected = asked("connected", "1 while all shards hear what people say")
        self._guilds = asked("guilds", "Servers that the bot is in")
        self._latency = asked("latency_seconds", "Time that Discord's gateway took for the last heartbeat")
        self._logins = Counter(
            "chorus_discord_logins", "How often we came to Discord, or came back", registry=registry
        )
        self._requests = Counter(
            "chorus_discord_requests",
            "Requests to Discord's HTTP API, by method and status (0: no answer)",
            ["method", "status"],
            registry=registry,
        )
        self._limited = Counter(
            "chorus_discord_rate_limited",
            "Requests that Discord refused as too many, by scope (user, global, shared)",
            ["scope"],
            registry=registry,
        )
        self._held = Histogram(
            "chorus_discord_held_seconds",
            "Time that a request waited here, so that Discord need not refuse it",
            buckets=PAUSES,
            registry=registry,
        )

        for scope in ("user", "global", "shared"):
            self._limited.labels(scope)  # 0 from the beginning, so that the first one is seen as a rise

    def watch(
        self, connected: Callable[[], bool], guilds: Callable[[], int], latency: Callable[[], float]
    ) -> None:
        """Ask these whenever somebody reads the metrics; the latency in seconds."""
        self._connected.set_function(connected)
        self._guilds.set_function(guilds)
        self._latency.set_function(latency)

    def logged_in(self) -> None:
        """Discord knows us."""
        self._logins.inc()

    def held(self, seconds: float) -> None:
        """A request waited for its turn."""
        self._held.observe(seconds)

    def requested(self, method: str, status: int, scope: str | None = None) -> None:
        """Discord answered a request, or with 0 did not; `scope` is whose limit was reached."""
        self._requests.labels(method, str(status)).inc()
        if status == 429:
            self._limited.labels(scope or "unknown").inc()
