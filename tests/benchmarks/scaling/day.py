"""A guild's busy day, and what each deed costs: all numbers that the simulation starts from.

Times are seconds of one process on two cores (docs/benchmarks.md); each line says which figure it is. Another
machine's figures go in here, and all else follows.
"""

from dataclasses import dataclass

BUSY_HOUR = {"look": 60, "question": 60, "recording": 6, "training": 2}
"""What one guild does in each hour of a busy day: a command and a question a minute, and more."""


@dataclass(frozen=True)
class Cost:
    """A service time that was measured, and where it stands."""

    seconds: float
    source: str


COMMAND = Cost(1 / 220, "gateway: commands_per_s, 220 looks a second")
REQUEST = Cost(1 / 50, "Discord's limit of 50 requests a second, whatever is asked")
WRITE = Cost(0.003 / 2, "bus: submit_to_start_ms, 3 ms for two confirmed writes")
REPLY = Cost(32 * 64 / 2114, "inference: 64 tokens, 32 at once, 2,114 tokens a second")
HEARING = Cost(0.54, "speech: hearing 1.7 s of sound")
LEARNING = Cost(7 + 100_000 / 6740, "a fresh clone's training, and trainer: 100,000 tokens at 6,740 a second")
FROM_S3 = Cost(0.051, "inference: cold_adapter_ms")
FROM_DISK = Cost(0.008, "inference: reloaded_adapter_ms")

COSTS = {
    "command": COMMAND,
    "Discord request": REQUEST,
    "confirmed write": WRITE,
    "reply": REPLY,
    "recording": HEARING,
    "training": LEARNING,
    "adapter from S3": FROM_S3,
    "adapter from disk": FROM_DISK,
}

SLOTS = {"gateway": 1, "bus": 1, "inference": 32, "speech": 1, "trainer": 1, "Discord": 1}
"""How many a process of each serves at once. `bus` is streams on one disk, `Discord` one bot's limit."""

PATHS: dict[str, tuple[tuple[str, float], ...]] = {
    "look": (("gateway", COMMAND.seconds), ("Discord", REQUEST.seconds)),
    "question": (  # a quota, a note that it is unfinished and its end, the kept reply; sent, and edited twice
        ("gateway", COMMAND.seconds),
        ("bus", 4 * WRITE.seconds),
        ("inference", REPLY.seconds),
        ("Discord", 3 * REQUEST.seconds),
    ),
    "recording": (
        ("gateway", COMMAND.seconds),
        ("speech", HEARING.seconds),
        ("Discord", REQUEST.seconds),
    ),
    "training": (  # an entry and an event each second; a card that is edited
        ("gateway", COMMAND.seconds),
        ("bus", 40 * WRITE.seconds),
        ("trainer", LEARNING.seconds),
        ("Discord", 12 * REQUEST.seconds),
    ),
}
"""Where each deed is served, one after the other, and for how many seconds on average."""

WAITS = {"look": 0.25, "question": 2.0, "recording": 2.0, "training": 300.0}
"""Seconds that 95 of 100 may wait at most, beside what the work itself takes."""
