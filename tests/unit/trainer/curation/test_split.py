"""Kept aside: the newest conversations, whole, about as many as are wanted, never all."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.trainer.curation.split import HELD_OUT_FROM, HELD_OUT_MOST, SPENT_MOST, taught, wanted_aside


@pytest.mark.parametrize(
    ("examples", "aside"), [(0, 0), (1, 0), (99, 0), (100, 5), (1000, 50), (5120, 256), (10**6, 256)]
)
def test_how_many_are_kept_aside(examples: int, aside: int) -> None:
    assert wanted_aside(examples) == aside
    assert examples - taught(range(examples)) == aside, "where each is a conversation of its own"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_conversations_stay_whole(sizes: list[int]) -> None:
    numbers = [number for number, size in enumerate(sizes) for _ in range(size)]
    learned = taught(numbers)
    aside = len(numbers) - learned
    assert learned > 0
    assert not set(numbers[:learned]) & set(numbers[learned:])
    assert aside <= max(wanted_aside(len(numbers)), len(numbers) * SPENT_MOST)
    if len(numbers) < HELD_OUT_FROM:
        assert aside == 0
    elif sizes[-1] <= wanted_aside(len(numbers)):
        assert 0 < aside <= HELD_OUT_MOST


def test_a_long_newest_conversation_is_kept_aside_alone() -> None:
    assert taught([1] * 50 + [2] * 50 + [3] * 20) == 100


def test_one_that_is_a_good_part_of_all_is_learned() -> None:
    assert taught([1] * 50 + [2] * 80) == 130
    assert taught([1] * 200) == 200


def test_more_data_keeps_no_less_aside() -> None:
    assert all(few <= more for few, more in pairwise(wanted_aside(n) for n in range(99, 9000)))
