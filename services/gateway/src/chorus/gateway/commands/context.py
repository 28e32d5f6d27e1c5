"""Who asks, where, and with what at hand."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.gateway.commands.history import Harvests, History
from chorus.gateway.commands.ports import (
    Answers,
    Datasets,
    Feedback,
    Files,
    Guilds,
    Jobs,
    Models,
    Objects,
    Privacy,
    Speech,
)

REMEMBERED = 40  # messages; what the model can use of them is for inference to say


@dataclass
class Asked:
    """The last thing that was asked somewhere: it can be asked again."""

    turns: list[Turn]
    """What was said before it, if anything, and the question."""
    model: str | None
    """Who was to answer; None is the guild's voice."""
    sampling: Sampling
    in_conversation: bool
    """Whether question and answer are remembered, or stand apart."""
    answer: Turn | None = None
    """What was answered, once that is remembered."""


@dataclass
class Session:
    """A conversation, remembered while it goes on."""

    turns: deque[Turn] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """People's turns are named by their ids; `asking` calls them as models know people."""
    model: str | None = None
    """Whom it is with, where that is not the guild's voice."""
    asked: Asked | None = None

    def forget(self) -> None:
        """Begin anew. An answer that is being written goes to what is forgotten."""
        self.turns, self.asked = deque(maxlen=self.turns.maxlen), None


@dataclass(frozen=True)
class Chorus:
    """All that commands may ask of Chorus."""

    datasets: Datasets
    jobs: Jobs
    models: Models
    answers: Answers
    speech: Speech
    privacy: Privacy
    guilds: Guilds
    objects: Objects
    harvests: Harvests
    feedback: Feedback


@dataclass(frozen=True)
class Trust:
    """What the operator may learn from, and how this command came (`commands.trust` has the rule)."""

    mode: Mode = "submitted"
    reference: str | None = None
    """Of Discord's permission, where the mode is `permitted`."""
    via: Literal["message", "file", "console"] = "message"
    """Typed in a message, which comes through Discord's API; or in a file or a terminal, which does not."""


@dataclass(frozen=True)
class Context:
    """One command, as it was given."""

    chorus: Chorus
    guild: str
    user: str
    """Id of the person; it goes on every example they contribute."""
    session: Session
    forget_conversations: Callable[[], None]
    """Forgets this one and all others of the guild, whatever room they are in."""
    files: Files
    key: str
    """Idempotency key: the same for the same message, however often it arrives."""
    admin: bool = False
    """Whether the person runs this place: feeds data, trains, chooses the voice."""
    names: tuple[str, ...] = ()
    """What the person is called here: sources without ids are matched by it."""
    trust: Trust = Trust()
    channel: str | None = None
    """Discord's id of the channel, of a thread that of its channel; in the console there is none."""
    reply_to: str | None = None
    """Id of the message that this one is a reply to, or that a button or a menu was used on."""
    roles: tuple[str, ...] = ()
    """Ids of the person's roles in the server."""
    history: History | None = None
    """What was said in the server; in the console and in direct messages there is none to read."""
