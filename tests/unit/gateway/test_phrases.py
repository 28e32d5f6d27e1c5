"""Small parts of sentences."""

from datetime import UTC, datetime

import pytest

from chorus.gateway.commands.phrases import counted, in_a_row, in_line, minute


@pytest.mark.parametrize(("number", "told"), [(0, "0 answers"), (1, "1 answer"), (1200, "1,200 answers")])
def test_one_is_no_plural(number: int, told: str) -> None:
    assert counted(number, "answer") == told


def test_a_time_is_told_to_the_minute() -> None:
    assert minute(datetime(2026, 2, 1, 3, 4, 59, tzinfo=UTC)) == "2026-02-01 03:04 UTC"


@pytest.mark.parametrize(
    ("words", "told"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_of_a_long_list_the_rest_is_counted(words: list[str], told: str) -> None:
    assert in_a_row(words, 2) == told


@pytest.mark.parametrize(("text", "told"), [("a\n b", "a b"), ("x" * 5, "x" * 5), ("x" * 6, "xxxx…")])
def test_a_long_text_is_cut_to_a_line(text: str, told: str) -> None:
    assert in_line(text, 5) == told
