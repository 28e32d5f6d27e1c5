"""A test's outcome: counted, in words, as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from chorus.common.contracts.feedback import Prediction
from chorus.gateway.commands.phrases import in_line
from chorus.gateway.commands.replies import Card

SHOWN = 20  # rows
QUOTED = 3  # predictions in the line that says that it is complete


@dataclass(frozen=True)
class Verdict:
    """What a model answered."""

    model: str
    predictions: Sequence[Prediction]
    in_role: bool = False
    """Whether it spoke as somebody: then its answers are labelled."""

    @property
    def label(self) -> str:
        """What stands behind the name of who answered."""
        return " (AI)" if self.in_role else ""

    @property
    def answered(self) -> list[Prediction]:
        """Those that the model answered."""
        return [one for one in self.predictions if one.error is None]

    @cached_property
    def judged(self) -> int:
        """How many answers could be compared with what was expected."""
        return sum(one.is_right is not None for one in self.predictions)

    @cached_property
    def right(self) -> int:
        """How many of these were just that."""
        return sum(one.is_right is True for one in self.predictions)

    @property
    def wrong(self) -> list[Prediction]:
        """Those that were wrong or failed."""
        return [one for one in self.predictions if one.is_right is False or one.error is not None]

    @property
    def logprob(self) -> float | None:
        """Nats a token of the expected answers, the mean over the records."""
        known = [one.logprob for one in self.predictions if one.logprob is not None]
        return fmean(known) if known else None


def in_words(verdict: Verdict) -> Iterable[str]:
    """That it is complete, and the score."""
    answered = verdict.answered
    first = " · ".join(in_line(one.prediction or "") or "(nothing)" for one in answered[:QUOTED])
    more = f" and {len(answered) - QUOTED} more" if len(answered) > QUOTED else ""
    yield f"Test complete. Predictions{verdict.label}: {first}{more}"
    if scored := ", ".join(_scored(verdict)):
        yield f"{verdict.model}: {scored}."


def _scored(verdict: Verdict) -> Iterable[str]:
    if verdict.judged:
        share = verdict.right / verdict.judged
        yield f"{verdict.right} of {verdict.judged} right ({share:.0%})"
    if failed := len(verdict.predictions) - len(verdict.answered):
        yield f"{failed} failed"
    if verdict.logprob is not None:
        yield f"log-likelihood of what was expected {verdict.logprob:.2f} a token"


def table(verdict: Verdict) -> Card:
    """Each record in a row; of many, those that were wrong first."""
    predictions = verdict.predictions
    if len(predictions) > SHOWN:
        predictions = sorted(predictions, key=lambda one: _mark(one) != "✗")
    left_out = len(predictions) - SHOWN
    footer = f"{left_out} more are not shown." if left_out > 0 else ""
    columns = ("", "question", "prediction", "expected")
    return Card(
        f"Test of {verdict.model}{verdict.label}", columns, [row(one) for one in predictions[:SHOWN]], footer
    )


def row(one: Prediction) -> tuple[str, ...]:
    """✓ or ✗, question, prediction or why there is none, and what was expected; long texts cut short."""
    said = f"failed: {one.error}" if one.error else one.prediction or "(nothing)"
    return (_mark(one), in_line(one.input), in_line(said), in_line(one.expected or ""))


def _mark(one: Prediction) -> str:
    if one.error is not None or one.is_right is False:
        return "✗"
    return "✓" if one.is_right else ""
