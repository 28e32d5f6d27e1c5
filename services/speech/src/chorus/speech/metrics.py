"""Speech's metrics, as verbs."""

from collections.abc import Callable
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Kind = Literal["speak", "hear"]
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class SpeechMetrics:
    """Sound that went out and came in, and the engines that made it and heard it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._audio = Counter(
            "chorus_speech_audio_seconds",
            "Length of recordings, by what was done (spoken, heard) and the engine that did it",
            ["done", "engine"],
            registry=registry,
        )
        self._tries = Counter(
            "chorus_speech_engine_tries",
            "What engines were given, by what for (speak, hear) and outcome (an error's code, or ok)",
            ["kind", "engine", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "chorus_speech_engine_seconds",
            "Time that an engine took for one of them, also where it failed",
            ["kind", "engine"],
            buckets=SECONDS,
            registry=registry,
        )
        self._resting = Gauge(
            "chorus_speech_engine_resting",
            "1 while an engine is left out because it has failed",
            ["kind", "engine"],
            registry=registry,
        )
        self._kept = Counter(
            "chorus_speech_phrases_kept",
            "Phrases that were taken from those that are kept, and not made again",
            registry=registry,
        )

    def spoke(self, engine: str, seconds: float) -> None:
        """A recording of so many seconds was given out."""
        self._audio.labels("spoken", engine).inc(seconds)

    def heard(self, engine: str, seconds: float) -> None:
        """A recording of so many seconds was written down."""
        self._audio.labels("heard", engine).inc(seconds)

    def tried(self, kind: Kind, engine: str, outcome: str, seconds: float) -> None:
        """An engine has done its work, or failed."""
        self._tries.labels(kind, engine, outcome).inc()
        self._seconds.labels(kind, engine).observe(seconds)

    def watch(self, kind: Kind, engine: str, left_out: Callable[[], float]) -> None:
        """Ask this for the seconds that an engine is left out, whenever somebody reads the metrics."""
        self._resting.labels(kind, engine).set_function(lambda: left_out() > 0)

    def took_kept(self) -> None:
        """A phrase need not be made again."""
        self._kept.inc()
