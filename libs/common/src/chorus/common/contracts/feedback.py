"""Where models were wrong: kept for a while, so that somebody can look, and teach them better.

    KV feedback  <guild>.<person>.<id>  →  TestRecord      for 30 days

The person in the key is whose words these are: when they are deleted, all under it goes.
"""

from pydantic import Field, NonNegativeInt

from chorus.common.contracts.names import Guild
from chorus.common.contracts.wire import Part, Time, Wire

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
