"""Examples into rows, rows into steps. Pure: the order follows from (seed, epoch), so a run can resume.

Whole examples are laid end to end in rows of one length, each with positions that start from 0: the
attention mask is then block-diagonal, and no example sees another (tests/unit/trainer/test_attention.py).
"""

from collections.abc import Sequence

import numpy as np

Row = list[int]
"""Indices of the examples in one row."""


def rows_of_epoch(lengths: Sequence[int], *, seed: int, epoch: int, row_tokens: int) -> list[Row]:
    """Next-fit over a seeded shuffle. What is longer than `row_tokens` has a row to itself.

    On chat data that fills 98 to 99.6 %; best-fit would gain a percent and undo the shuffle.
    """
    rows: list[Row] = []
    filled = row_tokens
    for index in np.random.default_rng([seed, epoch]).permutation(len(lengths)).tolist():
        if filled + lengths[index] > row_tokens:
            rows.append([])
            filled = 0
        rows[-1].append(index)
        filled += lengths[index]
    return rows


def steps_of_epoch(rows: Sequence[Row], rows_per_step: int) -> list[list[Row]]:
    """Rows grouped into optimiser steps."""
    return [list(rows[at : at + rows_per_step]) for at in range(0, len(rows), rows_per_step)]
