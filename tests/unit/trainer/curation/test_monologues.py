"""One person alone in the data: their words are text to learn."""

from chorus.trainer.curation.records import SELF
from tests.unit.trainer.curation.built import built, said


def test_what_one_person_says_alone_is_learned_as_text() -> None:
    made = built([said("1", "so"), said("1", "here we are", 1), said("1", "and gone", 500)])
    assert [[(t.role, t.content) for t in e.messages] for e in made.examples] == [
        [("assistant", "so\nhere we are")],
        [("assistant", "and gone")],
    ]
    assert (made.card.read, made.card.kept, made.card.people) == (3, 3, 1)
    assert "only one person speaks in this data: their words are learned as text, not as replies." in (
        made.card.warnings
    )


def test_their_personal_data_is_replaced_as_well() -> None:
    made = built([said("1", "write to ann@example.org")])
    assert made.examples[0].messages[0].content == "write to <email>"
    assert made.card.replaced == {"email": 1}


def test_ones_own_messages_are_whose_who_hands_them_over() -> None:
    made = built([said(SELF, "mine alone")])
    assert list(made.people) == ["42"]
    assert made.examples[0].contributors == ["42"]
