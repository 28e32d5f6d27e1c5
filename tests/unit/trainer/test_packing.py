"""Packing: every example once, and an order that follows from the seed."""

from hypothesis import given
from hypothesis import strategies as st

from chorus.trainer.training.packing import rows_of_epoch, steps_of_epoch


@given(st.lists(st.integers(1, 64), min_size=1, max_size=60), st.integers(0, 9), st.integers(0, 9))
def test_each_example_is_in_one_row_and_rows_are_not_too_long(
    lengths: list[int], seed: int, epoch: int
) -> None:
    rows = rows_of_epoch(lengths, seed=seed, epoch=epoch, row_tokens=64)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in row) <= 64 for row in rows)
    assert rows == rows_of_epoch(lengths, seed=seed, epoch=epoch, row_tokens=64)


def test_each_epoch_has_its_own_order() -> None:
    orders = {str(rows_of_epoch([10] * 20, seed=0, epoch=epoch, row_tokens=30)) for epoch in range(5)}
    assert len(orders) == 5


def test_steps_hold_all_rows() -> None:
    assert steps_of_epoch([[0], [1], [2]], 2) == [[[0], [1]], [[2]]]
