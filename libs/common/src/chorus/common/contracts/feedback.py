"""What people say of a model's answers, and where it was wrong.

    KV feedback  <guild>.<person>.<id>  →  TestRecord      for 30 days

The person in the key is whose words these are: when they are deleted, all under it goes.
"""

from pydantic import Field, NonNegativeInt

from chorus.common.contracts.names import Guild
from chorus.common.contracts.wire import Part, Time, Wire


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
    model: str
    at: Time
    asked: NonNegativeInt
    judged: NonNegativeInt
    """Those with an expected answer."""
    right: NonNegativeInt
    wrong: list[Prediction] = Field(max_length=100)
    """Wrong or failed; of more, the first hundred."""


def feedback_key(guild: str, person: str, number: str) -> str:
    """Key of an entry."""
    return f"{guild}.{person}.{number}"
