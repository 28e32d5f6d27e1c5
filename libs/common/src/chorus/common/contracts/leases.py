"""One GPU for training and for answering: whose turn it is.

    KV leases  <name>  →  Lease          the name is the setting `CHORUS_SHARED_GPU`

    free    ─► asked      a trainer, for one of its jobs; it renews what it asks while it waits
    asked   ─► granted    inference, once its engine sleeps
    granted ─► taken      that trainer, before its child starts
    asked   ─► taken      that trainer, where nobody serves
    any     ─► free       the trainer, once its child has ended or it wants the GPU no more

Every step is a compare-and-set on what was read, so that whoever slept through a step finds it taken. While
the lease is free or asked for, inference has the GPU. A trainer that dies keeps it until `until`, and what is
left behind is free for all after a while (`Lease.is_free`): inference then writes `free` before it wakes.

One GPU is in one machine, and its users read the same clock. `MARGIN` is for containers whose clocks were
set meanwhile, and for a driver that takes a moment to give memory back.
"""

from datetime import datetime, timedelta
from typing import Literal

from chorus.common.contracts.names import Guild, JobId
from chorus.common.contracts.wire import Time, Wire

RENEWED_EVERY = 10.0
"""Seconds after which a trainer that waits asks again."""
ASKED_FOR = timedelta(seconds=40)
"""A trainer that has not asked again for so long is gone."""
GRANTED_FOR = timedelta(seconds=20)
"""A trainer that has not taken what it was granted for so long is gone."""
MARGIN = timedelta(seconds=5)
"""After a window's end, until the GPU is another's."""


class Lease(Wire):
    """Whose turn it is on a GPU."""

    state: Literal["free", "asked", "granted", "taken"] = "free"
    job: JobId | None = None
    """The training that wants it, has it, or had it last."""
    guild: Guild | None = None
    """Whose training that is."""
    worker: str | None = None
    """The trainer's instance."""
    at: Time
    """When this was written."""
    until: Time | None = None
    """When the window ends that is granted or taken: the training is gone by then."""
    served_by: str | None = None
    """The process of inference whose engine is there, from before its start until it has stopped in order."""

    @property
    def is_held(self) -> bool:
        """Whether it says that a training has the GPU, or may take it at any moment."""
        return self.state in {"granted", "taken"}

    def is_free(self, at: datetime) -> bool:
        """Whether no training wants it or has it at that time: what was left behind counts for nothing."""
        match self.state:
            case "free":
                return True
            case "asked":
                return at > self.at + ASKED_FOR
            case "granted":
                return at > self.at + GRANTED_FOR
            case "taken":
                return self.until is None or at > self.until + MARGIN

    def freed(self, at: datetime) -> "Lease":
        """The same, after it was given back."""
        return self.model_copy(update={"state": "free", "at": at, "until": None})
