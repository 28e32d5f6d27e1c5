"""Who asks, where, and with what at hand."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from chorus.common.contracts.consent import Mode
from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.feedback import ReplyRecord, Via
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.guild import GuildSettings
from chorus.gateway.commands.calls import Calls
from chorus.gateway.commands.history import Harvests, History
from chorus.gateway.commands.ports import (
    Answers,
    Datasets,
    Feedback,
    Files,
    Guilds,
    Models,
    Objects,
    People,
    Privacy,
    Quotas,
    Replies,
    Speech,
)
from chorus.gateway.commands.reviewed import Reviewed
from chorus.gateway.commands.searching import Searches
from chorus.gateway.commands.trainings import JobCards, Jobs, UnfinishedAnswers
from chorus.gateway.metrics import CommandMetrics

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
    reply: ReplyRecord | None = None
    """The same as it was shown, whether it is kept or not."""
    origin: ReplyRecord | None = None
    """The answer that is kept, where the same was asked: its turns do not say whose they are."""


@dataclass
class Session:
    """A conversation, remembered while it goes on."""

    turns: deque[Turn] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """People's turns are named by their ids; `asking` calls them as models know people."""
    model: str | None = None
    """Whom it is with, where that is not the guild's voice."""
    guild: str | None = None
    """In the console: the guild that it is with, where that is not the console's own."""
    asked: Asked | None = None

    def forget(self) -> None:
        """Begin anew. An answer that is being written goes to what is forgotten."""
        self.turns, self.asked = deque(maxlen=self.turns.maxlen), None


@dataclass(frozen=True)
class Chorus:
    """All that commands may ask of Chorus, and what they have at hand for a while."""

    datasets: Datasets
    jobs: Jobs
    cards: JobCards
    unfinished: UnfinishedAnswers
    models: Models
    answers: Answers
    speech: Speech
    privacy: Privacy
    guilds: Guilds
    objects: Objects
    harvests: Harvests
    feedback: Feedback
    quotas: Quotas
    replies: Replies
    reviewed: Reviewed = field(default_factory=Reviewed)
    searches: Searches = field(default_factory=Searches)
    metrics: CommandMetrics = field(default_factory=lambda: CommandMetrics(CollectorRegistry()))


@dataclass(frozen=True)
class Trust:
    """What the operator may learn from, and how this command came (`commands.trust` has the rule)."""

    mode: Mode = "submitted"
    reference: str | None = None
    """Of Discord's permission, where the mode is `permitted`."""
    via: Via = "message"
    """Typed in a message, which Discord's policy is about; or handed over in another way: in a slash command
    or a form, in a file, in a terminal."""


async def as_it_is(words: str) -> str:
    """Words to which nothing is to be added."""
    return words


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
    """Whether the place is the person's own, or theirs to manage: they have all rights (`rights.py`)."""
    names: tuple[str, ...] = ()
    """What the person is called here: sources without ids are matched by it."""
    trust: Trust = Trust()
    channel: str | None = None
    """Discord's id of the channel whose settings count, of a thread that of its channel; in the console
    there is none."""
    room: str | None = None
    """Discord's id of the channel or thread itself: what is said in a private thread is not for all who read
    its channel."""
    reply_to: str | None = None
    """Id of the message that this one is a reply to, or that a button or a menu was used on."""
    roles: tuple[str, ...] = ()
    """Ids of the person's roles in the server."""
    people: People | None = None
    """Who is in the server; in the console and in direct messages there is nobody else."""
    settings: GuildSettings | None = None
    """What the guild has chosen; None until it is read for this command (`rights.settings_of`)."""
    overhears: bool = True
    """Whether lines that mention nobody reach us in a server; otherwise commands come by mention or slash."""
    history: History | None = None
    """What was said in the server; in the console and in direct messages there is none to read."""
    recordings: tuple[str, ...] = ()
    """Names of the files that came along and are to be listened to: something that is said, and not typed."""
    answered_files: tuple[str, ...] = ()
    """Names of the files of the message that this one replies to."""
    told: Callable[[str], Awaitable[str]] = as_it_is
    """Words as a model is told them: with the texts that came with them, and names for mentions."""
    calls: Calls | None = None
    """The server's voice channels; in the console and in direct messages there are none."""
