"""Inference's metrics, as verbs."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chorus.common.contracts.names import LOCAL

KINDS = ("local", "dm", "guild")
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def class_of(guild: str) -> str:
    """What kind of guild: a label for each would grow without end, and tell who talks to whom."""
    if guild == LOCAL:
        return "local"
    return "dm" if guild.startswith("dm-") else "guild"


class InferenceMetrics:
    """Requests on their way through the engine, the adapters in it, and its own life."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counted(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"chorus_{name}", what, labels, registry=registry)

        def timed(name: str, what: str) -> Histogram:
            return Histogram(f"chorus_{name}_seconds", what, buckets=SECONDS, registry=registry)

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(f"chorus_{name}", what, registry=registry)

        tokens = counted("generated_tokens", "Tokens written, by kind of guild", "guild_class")
        self._tokens = {kind: tokens.labels(kind) for kind in KINDS}  # looked up for each piece
        self._refused = counted("refusals", "Requests refused or broken off, by the error's code", "code")
        self._first = timed("time_to_first_token", "From a request's arrival to its first piece of text")
        self._waiting = gauge("requests_waiting", "Requests in line for a slot of the engine")
        self._waited = timed("request_waiting", "From joining the line to a slot of the engine")
        self._loads = counted("adapter_loads", "Adapters loaded into the engine")
        self._load = timed("adapter_load", "Loading one adapter into the engine")
        self._unloads = counted("adapter_evictions", "Adapters unloaded from the engine")
        self._resident = gauge("adapters_resident", "Adapters in the engine")
        self._cold = timed("cold_adapter", "Fetching and checking an adapter that was not on disk")
        self._starts = counted("engine_starts", "Engines started")
        self._start = timed("engine_start", "Starting an engine")
        self._deaths = counted("engine_deaths", "Engines that died")

    # --- requests --------------------------------------------------------------------------------
    def waiting(self, count: int) -> None:
        """So many are in line."""
        self._waiting.set(count)

    def waited(self, seconds: float) -> None:
        """One has got its slot."""
        self._waited.observe(seconds)

    def first(self, seconds: float) -> None:
        """One has got its first piece of text."""
        self._first.observe(seconds)

    def wrote(self, guild: str, tokens: int) -> None:
        """Tokens were written for this guild."""
        self._tokens[class_of(guild)].inc(tokens)

    def refused(self, code: str) -> None:
        """One was refused, or broken off."""
        self._refused.labels(code).inc()

    # --- adapters --------------------------------------------------------------------------------
    def adapter_loaded(self, seconds: float) -> None:
        """One was loaded into the engine."""
        self._loads.inc()
        self._load.observe(seconds)

    def adapter_unloaded(self) -> None:
        """One has left the engine."""
        self._unloads.inc()

    def resident(self, count: int) -> None:
        """So many are in the engine."""
        self._resident.set(count)

    def cold(self, seconds: float) -> None:
        """One was fetched and checked."""
        self._cold.observe(seconds)

    # --- the engine ------------------------------------------------------------------------------
    def engine_started(self, seconds: float) -> None:
        """An engine runs."""
        self._starts.inc()
        self._start.observe(seconds)

    def engine_died(self) -> None:
        """An engine has died."""
        self._deaths.inc()
