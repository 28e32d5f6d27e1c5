"""Laying examples end to end: each token once, and nothing predicted across a border."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chorus.common.chat import Tokens
from chorus.trainer.backends.packed import FILL, IGNORED, Batch, pack

EXAMPLE = st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=1, max_size=9).map(
    lambda pairs: Tokens([token for token, _ in pairs], [learn for _, learn in pairs])
)
ROWS = st.lists(st.lists(EXAMPLE, min_size=1, max_size=3), min_size=1, max_size=4)


def example(*ids: int, learn_from: int = 0) -> Tokens:
    return Tokens(list(ids), [at >= learn_from for at in range(len(ids))])


def test_nothing_is_predicted_across_a_border_of_a_row() -> None:
    batch = pack([[example(1, 2, 3, learn_from=1), example(4, 5)], [example(6, 7)]], row_tokens=7)
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5, 0, 0], [6, 7, 0, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [[2, 3, IGNORED, 5, *[IGNORED] * 3], [7, *[IGNORED] * 6]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0, 1], [0, 1, 0, 1, 2, 3, 4]], "padding is an example"
    assert batch.lessons.tolist() == [0, 0, 1, 2]
    assert (batch.count, batch.tokens, batch.longest, batch.borders) == (3, 7, 64, None)


def test_a_flat_batch_says_where_examples_begin_and_is_filled_up_with_one_of_padding() -> None:
    batch = pack([[example(1, 2, 3, learn_from=2), example(4)], [example(6, 7)]], row_tokens=None)
    padding = FILL - 6
    assert batch.ids.tolist() == [[1, 2, 3, 4, 6, 7, *[0] * padding]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 0, 1, *range(padding)]]
    assert batch.targets.tolist() == [[IGNORED, 3, IGNORED, IGNORED, 7, IGNORED, *[IGNORED] * padding]]
    assert batch.lessons.tolist() == [0, 2]
    assert batch.borders is not None
    assert (batch.borders.tolist(), batch.borders.dtype) == ([0, 3, 4, 6, FILL], torch.int32)
    assert (batch.count, batch.tokens) == (3, 6)


def test_a_flat_batch_that_is_full_has_no_padding() -> None:
    batch = pack([[example(*range(FILL))]], None)
    assert batch.borders is not None
    assert (batch.borders.tolist(), batch.ids.shape) == ([0, FILL], (1, FILL))


@given(ROWS, st.sampled_from([None, 27, 30]))
def test_each_token_that_is_to_be_learned_is_a_target_once(
    rows: list[list[Tokens]], row_tokens: int | None
) -> None:
    batch = pack(rows, row_tokens)
    lessons = [one for row in rows for one in row]
    wanted = [
        (number, token)
        for number, one in enumerate(lessons)
        for token, learn in list(zip(one.ids, one.learn, strict=True))[
            1:
        ]  # before the first there is nothing
        if learn
    ]
    targets = batch.targets.flatten()
    found = targets[targets != IGNORED].tolist()
    assert list(zip(batch.lessons.tolist(), found, strict=True)) == wanted
    assert targets[batch.learned].tolist() == found
    assert batch.tokens == sum(len(one.ids) for one in lessons)


@pytest.mark.parametrize("row_tokens", [None, 8])
def test_a_batch_of_which_nothing_is_learned_is_a_batch(row_tokens: int | None) -> None:
    batch = pack([[Tokens([1, 2], [False, False])]], row_tokens)
    assert (len(batch.lessons), len(batch.learned), batch.count) == (0, 0, 1)


def test_a_batch_that_is_there_already_is_not_copied() -> None:
    batch = pack([[example(1, 2)]], None)
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert isinstance(moved, Batch)
    assert {each.device.type for each in vars(moved).values() if isinstance(each, torch.Tensor)} == {"meta"}
