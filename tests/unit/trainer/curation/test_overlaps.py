"""Overlapping exports: each message once, whichever of its formats comes first."""

from itertools import permutations

import pytest

from chorus.trainer.curation.records import Message
from tests.unit.trainer.curation.built import built, said

TALK = [
    ("1", "is it here, <@2>?", "is it here, @Bob B.?", 0.0),
    ("2", "ok", "ok", 1.0),
    ("2", "ok", "ok", 1.0),
    ("2", "yes, it is", "yes, it is", 2.0),
]


def as_json() -> list[Message]:
    """With ids and milliseconds."""
    return [
        said(author, text, minute + 0.002, id=str(number), source="a.json", reply_to="0" if number else "")
        for number, (author, text, _, minute) in enumerate(TALK)
    ]


def as_csv(source: str = "a.csv") -> list[Message]:
    """Without ids, with mentions by name, to the second, and from a file that was renamed."""
    return [
        said(author, text, minute, id="", channel="renamed", source=source)
        for author, _, text, minute in TALK
    ]


def thanks() -> Message:
    return said("1", "thanks", 9, id="9")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_json_and_csv_of_a_channel_are_one(order: tuple[int, ...]) -> None:
    files = [as_json(), as_csv(), as_csv("b.csv")]
    made = built(
        [message for at in order for message in files[at]] + [thanks()], target="1", duplicates="keep"
    )
    assert made.card.dropped["in another file already"] == 8
    assert made.card.kept == 5
    assert made.texts() == [["A: is it here, @u2?", "U: ok\nok\nyes, it is", "A: thanks"]]


def test_the_one_that_knows_what_it_answers_stays() -> None:
    late = [said("2", "sure", 600.0, id="5", reply_to="0", source="a.json")]
    early = [said("1", "coming?", 0.0, id="0", source="a.json"), said("3", "hi", 599.0, id="4")]
    same = [said("2", "sure", 600.0, id="", source="a.csv", channel="renamed")]
    made = built([*early, *same, *late])
    assert made.texts() == [["U: coming?", "A: sure"]]


def test_people_may_say_the_same_at_the_same_time() -> None:
    talk = [
        said("1", "ok", 0.0, id="1"),
        said("1", "ok", 0.0, id="2"),
        said("2", "ok", 0.0, id="", source="b"),
    ]
    made = built([*talk, said("2", "fine", 1)], duplicates="keep")
    assert made.card.dropped == {}
