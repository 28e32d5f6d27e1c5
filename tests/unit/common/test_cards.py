"""A job's card is followed by one process at a time."""

from datetime import timedelta

import pytest

from chorus.common.contracts.cards import HELD_FOR, LOOK_EVERY, CardState, JobCard
from chorus.common.contracts.wire import now

AT = now()
CARD = JobCard(guild="1", job="k7f3m2qxab", channel="2", message="3", posted_at=AT, who="4")


def test_it_is_its_holders_until_that_one_has_been_silent_for_long_enough() -> None:
    held = CARD.held("one", AT)
    assert held.is_free("one", AT)
    assert not held.is_free("another", AT + HELD_FOR)
    assert held.is_free("another", AT + HELD_FOR + timedelta(milliseconds=1))
    assert held.let_go("live").is_free("another", AT)


def test_a_killed_processs_cards_are_taken_over_within_a_minute() -> None:
    assert HELD_FOR.total_seconds() + LOOK_EVERY < 60
    assert HELD_FOR.total_seconds() > 2 * LOOK_EVERY, "one look may fail"


@pytest.mark.parametrize("state", ["paused", "ended"])
def test_what_is_not_to_be_followed_is_nobodys(state: CardState) -> None:
    assert not CARD.let_go(state).is_free("one", AT)
