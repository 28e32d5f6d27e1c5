"""Samples, and whether there is anything in them. Pure."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

SAMPLE_BYTES = 2
QUIETEST = 150  # of 32,767: a quiet voice reaches a few thousand, a silent room's hiss a few dozen


@dataclass(frozen=True)
class Sound:
    """Mono, signed 16-bit samples in this machine's byte order."""

    samples: bytes
    rate: int
    """Samples a second."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / SAMPLE_BYTES / self.rate

    def cut(self, seconds: float) -> Iterator["Sound"]:
        """It in stretches of so many seconds, of which the last may be shorter."""
        step = int(seconds * self.rate) * SAMPLE_BYTES
        for at in range(0, len(self.samples), step):
            yield Sound(self.samples[at : at + step], self.rate)

    @property
    def silent(self) -> bool:
        """Whether nobody could hear anything in it."""
        values = array("h", self.samples)
        return not values or max(max(values), -min(values)) < QUIETEST
