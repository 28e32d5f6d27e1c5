"""A long text in sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chorus.speech.voice.sentences import sentences


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("Hello there. How are you? Fine!", 200, ["Hello there.", "How are you?", "Fine!"]),
        ("It costs 3.50 now", 200, ["It costs 3.50 now"]),
        ("日本語です。二つ目です。", 200, ["日本語です。", "二つ目です。"]),
        ("one, two, three, four", 20, ["one, two, three,", "four"]),
        ("one two three four five", 20, ["one two three four", "five"]),
        ("a" * 45, 20, ["a" * 20, "a" * 20, "a" * 5]),
        ("Well. ... So!", 200, ["Well.", "So!"]),
        ("We need\nbread\nand salt. Good.", 200, ["We need", "bread", "and salt.", "Good."]),
        ("Ask Mr. A. Lee. Or Dr. Who.", 200, ["Ask Mr. A. Lee.", "Or Dr. Who."]),
        ("   ", 200, []),
    ],
)
def test_it_is_cut_where_a_reader_pauses(text: str, most: int, parts: list[str]) -> None:
    assert list(sentences(text, most=most)) == parts


@given(st.text(alphabet="ab .,!? ", max_size=300))
def test_no_word_is_lost_and_no_part_is_long(text: str) -> None:
    parts = list(sentences(text, most=20))
    assert all(0 < len(part) <= 20 for part in parts)
    assert [sign for sign in "".join(parts) if sign.isalpha()] == [sign for sign in text if sign.isalpha()]
