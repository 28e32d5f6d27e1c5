"""Speech's metrics, as verbs."""

from prometheus_client import CollectorRegistry, Counter


class SpeechMetrics:
    """Sound that went out and came in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Counter(
            "chorus_speech_audio_seconds",
            "Length of recordings, by what was done",
            ["done"],
            registry=registry,
        )

    def spoke(self, seconds: float) -> None:
        """A recording was made."""
        self._seconds.labels("spoken").inc(seconds)

    def heard(self, seconds: float) -> None:
        """A recording was written down."""
        self._seconds.labels("heard").inc(seconds)
