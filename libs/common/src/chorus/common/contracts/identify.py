"""Logging in to Discord from several processes: whose turn it is.

    KV identify  <lane>  →  Identifying

Whoever can create a lane's entry may identify there; the entry is gone by itself when the next one may. A
lane is a shard's number modulo what Discord calls `max_concurrency`.
"""

from chorus.common.contracts.wire import Time, Wire

IDENTIFY_EVERY = 5.5
"""Seconds between two that identify in one lane: Discord's five, and a margin for the way there."""


class Identifying(Wire):
    """Who identifies in a lane just now."""

    shard: int
    by: str
    """The gateway's instance."""
    at: Time
