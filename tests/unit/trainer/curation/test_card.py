"""The card: what is in a version, and what to know of it, in few words."""

import pytest

from chorus.trainer.curation.card import EDGES, Tally
from chorus.trainer.curation.records import Dropped
from tests.unit.trainer.curation.built import Version, built, dialogues, pair, said, words


def test_reasons_are_counted_the_commonest_first() -> None:
    tally = Tally()
    for reason in ("a", "b", "b"):
        tally.drop(reason)
    tally.drop("c", 0)
    assert tally.told() == "2 × b, 1 × a"


def test_the_first_records_to_mend_are_named() -> None:
    broken = [Dropped("empty message", mend=f"Line {n} is empty.") for n in range(5)]
    made = built([*broken, pair(1)])
    assert made.card.warnings[1:] == [
        "Line 0 is empty.", "Line 1 is empty.", "Line 2 is empty.", "And 2 more like that.",
    ]  # fmt: skip
    assert made.card.dropped == {"empty message": 5}


def test_lengths_are_as_many_as_there_are_examples() -> None:
    lengths = built([pair(n) for n in range(12)]).card.lengths
    assert lengths.edges == EDGES[: len(lengths.edges)]
    assert len(lengths.counts) == len(lengths.edges)
    assert sum(lengths.counts) == 12
    assert lengths.counts[-1] > 0


@pytest.mark.parametrize(
    ("examples", "warned"),
    [(9, "learned by heart"), (10, "none are kept aside"), (99, "none are kept aside"), (100, "")],
)
def test_little_data_is_told(examples: int, warned: str) -> None:
    told = built(dialogues(examples)).card.warnings
    assert warned in " ".join(told)
    assert bool(told) == bool(warned)


def test_no_validation_for_want_of_conversations_is_told() -> None:
    made = built([said(str(n % 2), words(n), n) for n in range(480)], merge_minutes=0, max_tokens=32)
    assert made.card.examples > 100
    assert made.card.validation == 0
    assert "no examples are kept aside" in made.card.warnings[0]


def test_only_those_who_say_most_are_listed() -> None:
    talk = [said(str(n), words(n), n) for n in range(15)]
    made = built([*talk, said("0", words(90), 15), said("3", words(91), 16)])
    assert len(made.card.speakers) == 10
    assert [each.messages for each in made.card.speakers[:3]] == [2, 2, 1]
    assert made.card.people == 15


def test_progress_is_told_by_stage() -> None:
    told: list[tuple[str, int]] = []
    made: Version = built(dialogues(3), tell=lambda stage, done: told.append((stage, done)))
    assert told == [("reading", 6), ("cleaning", 6), ("writing examples", made.card.examples)]
