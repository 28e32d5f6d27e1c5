"""One GPU for training and for answering: whose turn it is.

    KV leases  <name>  →  Lease          the name is the setting `CHORUS_SHARED_GPU`

While nobody trains there is no entry, or one that is `free`, and inference has the GPU. A trainer writes
`asked`; inference finishes what it is writing, puts its engine to sleep and writes `granted` with `until`;
the trainer gives back (`free`) when it is done, or at `until`, with a checkpoint: then inference answers
for a while before the training goes on. A trainer that dies holds it until `until`, and not longer.
"""

from typing import Literal

from chorus.common.contracts.names import Guild, JobId
from chorus.common.contracts.wire import Time, Wire


class Lease(Wire):
    """Whose turn it is on a GPU."""

    state: Literal["free", "asked", "granted"] = "free"
    job: JobId | None = None
    """The training that wants it, or has it."""
    guild: Guild | None = None
    """Whose training that is."""
    worker: str | None = None
    """The trainer's instance."""
    at: Time
    """When this was written."""
    until: Time | None = None
    """When a granted window ends."""
