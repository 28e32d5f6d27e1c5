"""What models said and how people found it: kept for a while, so that somebody can teach them better.

    KV feedback  <guild>.<person>.<id>              →  TestRecord      for 30 days
    KV replies   <guild>.<person>.<message>         →  ReplyRecord     for 30 days, or as the guild says
    KV opinions  <guild>.<person>.<message>.<by>    →  Opinion         for 30 days

The person in the key is who asked: when their words are deleted, all under it goes. An opinion has an entry
of its own, so that many people may have one at once, each can change their own, and it goes with whoever gave
it. Where answers need room, the oldest of them go; what somebody said of one never does before its time.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, StringConstraints

from chorus.common.contracts.datasets import Turn
from chorus.common.contracts.generation import Sampling
from chorus.common.contracts.names import Guild
from chorus.common.contracts.wire import Part, Time, Wire

REPLIES_KEPT = timedelta(days=30)
"""At most; a guild may choose less."""

MessageId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,20}$")]
"""Of the message in which an answer was shown: Discord's, or a short one in the console."""

Person = Annotated[str, StringConstraints(pattern=r"^(?:[0-9]{1,20}|local)$")]
Via = Literal["message", "form", "file", "console"]
Vote = Literal["up", "down"]

WRONG_KEPT = 100
"""Predictions in one record; of more, the first ones."""


class Prediction(Part):
    """One question of a test, and what came of it."""

    input: str
    prediction: str | None = None
    """None where the model could not be asked."""
    expected: str | None = None
    error: str | None = None
    """Why it could not: `code: words`."""
    logprob: float | None = None
    """Nats a token of the expected answer, as the model sees it."""

    @property
    def is_right(self) -> bool | None:
        """Whether it is what was expected, blanks and capitals aside; None where nothing was."""
        if self.expected is None or self.prediction is None:
            return None
        return " ".join(self.prediction.split()).casefold() == " ".join(self.expected.split()).casefold()


class TestRecord(Wire):
    """One `!test`: how much was right, and each prediction that was wrong or failed."""

    guild: Guild
    person: str
    id: str
    model: str
    """Who answered: `name@version`, or the base's name."""
    at: Time
    asked: NonNegativeInt
    judged: NonNegativeInt
    """Those that were answered and had an expected answer."""
    right: NonNegativeInt
    failed: NonNegativeInt = 0
    """Those that were not answered."""
    wrong: list[Prediction] = Field(max_length=WRONG_KEPT)
    """Wrong or failed, whole; of more than a record can hold, the first ones."""

    @property
    def key(self) -> str:
        """Key of the entry."""
        return feedback_key(self.guild, self.person, self.id)


def feedback_key(guild: str, person: str, number: str = "") -> str:
    """Key of an entry; without a number, what the keys of all of a person's begin with."""
    return f"{guild}.{person}.{number}"


class ReplyRecord(Wire):
    """An answer as it was shown, with all that was asked: it can be asked anew, judged, and learned from."""

    guild: Guild
    person: Person
    """Who asked."""
    people: list[str]
    """Ids of everybody whose words it was asked with: who asked, who spoke before, who gave the persona."""
    channel: str | None = None
    """Where it was shown: Discord's id of the channel, or of the thread; in the console there is none."""
    message: MessageId
    """Which shows it; where it took several, the last of them."""
    before: list[MessageId] = Field(default=[], max_length=10)
    """Messages that show what comes before; it is found under each."""
    via: Via
    """How the question came (`commands.trust`)."""
    asked: str | None = None
    """The model that was wanted; None is the guild's voice."""
    model: str
    """Who answered: `name@version`, or the base's name."""
    messages: list[Turn]
    """As they were sent, the persona first."""
    examples: list[Turn] = Field(default=[])
    sampling: Sampling
    text: str
    """All that was answered; of several answers, the first."""
    cut_off: bool = False
    """Whether the answer reached its length limit."""
    at: Time

    @property
    def key(self) -> str:
        """Key of the entry."""
        return f"{self.guild}.{self.person}.{self.message}"

    @property
    def keys(self) -> list[str]:
        """Keys of all entries: the same stands under each message that shows it."""
        return [f"{self.guild}.{self.person}.{message}" for message in (*self.before, self.message)]


class Opinion(Wire):
    """What one person says of an answer. Words may also be about none in particular."""

    guild: Guild
    person: Person
    """Who had asked."""
    channel: str | None = None
    """Where the answer was shown, or where words about none were said."""
    message: MessageId
    by: Person
    via: Via
    vote: Vote | None = None
    correction: str | None = Field(default=None, max_length=8000)
    """What should have been answered."""
    words: str | None = Field(default=None, max_length=4000)
    at: Time
    state: Literal["waiting", "approved", "rejected"] = "waiting"
    """Of its review; a changed opinion waits again."""

    @property
    def key(self) -> str:
        """Key of the entry."""
        return f"{self.guild}.{self.person}.{self.message}.{self.by}"

    @property
    def waits(self) -> bool:
        """Whether there is something to decide about; of a vote that was taken back, nothing is left."""
        return self.state == "waiting" and bool(self.vote or self.correction or self.words)

    @property
    def teaches(self) -> bool:
        """Whether something can be learned of it, together with the answer that it is about."""
        return bool(self.vote or self.correction)
