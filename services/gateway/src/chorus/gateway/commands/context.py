"""Who asks, where, and with what at hand."""

from collections import deque
from dataclasses import dataclass, field

from chorus.common.contracts.datasets import Turn
from chorus.gateway.commands.ports import Answers, Datasets, Files, Jobs, Models, Speech

REMEMBERED = 40  # messages; what the model can use of them is for inference to say


@dataclass
class Session:
    """A conversation, remembered while it goes on."""

    turns: deque[Turn] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


@dataclass(frozen=True)
class Chorus:
    """All that commands may ask of Chorus."""

    datasets: Datasets
    jobs: Jobs
    models: Models
    answers: Answers
    speech: Speech


@dataclass(frozen=True)
class Context:
    """One command, as it was given."""

    chorus: Chorus
    guild: str
    user: str
    """Id of the person; it goes on every example they contribute."""
    session: Session
    files: Files
    key: str
    """Idempotency key: the same for the same message, however often it arrives."""
    admin: bool = False
    """Whether the person runs this place: feeds data, trains, chooses the voice."""
