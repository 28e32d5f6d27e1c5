"""Answers that are being written on Discord, so that none is left half where the gateway is killed.

    KV unfinished  <guild>.<asked>  →  Unfinished     from its first words to its end

    held     ─► held     the process that writes it, renewed as the cards are (`contracts.cards`)
    held     ─► held     any other process of the gateway, once that time is over
    held     ─► gone     the one that has shown it whole, or has said that it is not going to be

Nothing of what is said is in it: the question is read again where it was asked.
"""

from datetime import datetime

from chorus.common.contracts.cards import HELD_FOR
from chorus.common.contracts.names import Guild
from chorus.common.contracts.wire import Time, Wire

UNFINISHED_KEPT = 3600.0
"""Seconds; after that nobody waits for an answer."""


class Unfinished(Wire):
    """One answer."""

    guild: Guild
    asked: str
    """Discord's id of what asked for it: a message, or a press and the like."""
    room: str
    """Discord's id of the channel, or of the thread."""
    message: str
    """Discord's id of the message in which it grows, of several the last."""
    is_message: bool
    """Whether a message asked for it, which can be answered again."""
    is_second: bool = False
    """Whether it was begun before, and broken off then."""
    holder: str
    """The process that writes it."""
    held_until: Time

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return f"{self.guild}.{self.asked}"

    def held(self, holder: str, at: datetime) -> "Unfinished":
        """The same, in this process's hand from now on."""
        return self.model_copy(update={"holder": holder, "held_until": at + HELD_FOR})
