"""Long answers in messages that Discord takes: nothing lost, no code block torn."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chorus.gateway.frontends.discord.splitting import LIMIT, split


@pytest.mark.parametrize("text", ["", " ", "\n\n", "``", "``` ```"])
def test_nothing_is_no_message(text: str) -> None:
    assert split(text) == []


def test_what_fits_is_left_as_it_is() -> None:
    text = "a\n\n```py\nprint(1)\n```\nb"
    assert split(text) == [text]
    assert split("x" * LIMIT) == ["x" * LIMIT]


def test_a_cut_is_after_a_paragraph_a_line_or_a_word() -> None:
    assert split("aaaa bbbb\n\ncccc dddd eeee", 20) == ["aaaa bbbb", "cccc dddd eeee"]
    assert split("aaaa bbbb\ncccc dddd eeee", 20) == ["aaaa bbbb", "cccc dddd eeee"]
    assert split("aaaa bbbb cccc dddd eeee", 20) == ["aaaa bbbb cccc", "dddd eeee"]
    assert split("a" * 30, 20) == ["a" * 16, "a" * 14]


def test_a_code_block_goes_on_in_its_language() -> None:
    code = "\n".join(f"line_{number} = {number}" for number in range(20))
    pieces = split(f"Look:\n```py\n{code}\n```\nThat is all.", 100)
    assert all(piece.startswith("```py\n") for piece in pieces[1:-1])
    assert "\n".join(line for piece in pieces for line in piece.splitlines() if "=" in line) == code
    assert pieces[-1].endswith("That is all.")


def test_an_open_block_is_closed_while_it_is_being_written() -> None:
    assert split("```py\nx = 1") == ["```py\nx = 1\n```"]


def test_indentation_survives_a_cut() -> None:
    pieces = split("```py\n" + "\n".join(["    indented = 1"] * 20) + "\n```", 100)
    lines = [line for piece in pieces for line in piece.splitlines() if "indented" in line]
    assert lines == ["    indented = 1"] * 20


words = st.text(st.sampled_from("abc é日🦊"), max_size=60)
blocks = st.builds(
    lambda language, code: f"```{language}\n{code}\n```",
    st.sampled_from(["", "py", "json"]),
    st.text(st.sampled_from("xyz \n"), max_size=300),
)
texts = st.lists(st.one_of(words, blocks, st.just("\n\n"), st.just("`a`"), st.just("```")), max_size=12).map(
    "\n".join
)


def _random_text(chance: random.Random) -> str:
    """Words, lines, code blocks in several languages, stray fences, and signs that need several bytes."""
    parts = (
        "word ",
        "a_longer_word_than_most ",
        "\n",
        "\n\n",
        "`x`",
        "``",
        "```",
        "```py\n",
        "```\n",
        "日本 ",
        "🦊",
        "- item\n",
    )
    return "".join(
        chance.choices(parts, weights=(30, 10, 8, 3, 2, 1, 1, 2, 2, 3, 1, 3), k=chance.randint(0, 900))
    )


def test_three_thousand_random_texts_are_split_without_a_broken_fence() -> None:
    chance = random.Random(1)
    several = 0
    for _ in range(3000):
        text = _random_text(chance)
        pieces = split(text)
        several += len(pieces) > 1
        assert all(0 < len(piece) <= LIMIT and piece.count("```") % 2 == 0 for piece in pieces)
        assert _words("".join(pieces)).replace("`", "") == _words(text).replace("`", "")
    assert several > 1000


@given(texts, st.integers(60, 300))
@settings(max_examples=500)
def test_any_text_is_split_cleanly(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert all(piece.count("```") % 2 == 0 for piece in pieces)
    assert _words("".join(pieces)) == _words(text)


line = st.builds(
    lambda indent, text: text and " " * indent + text, st.integers(0, 8), st.sampled_from(["", "x = 1", "y"])
)


@given(st.lists(line, min_size=1, max_size=40), st.integers(60, 200), words)
@settings(max_examples=300)
def test_every_line_of_code_survives_with_its_indentation(code: list[str], limit: int, before: str) -> None:
    pieces = split("\n".join([before, "```py", *code, "```", "That is all."]), limit)
    assert _without_end(_code(pieces)) == _without_end(code)


@given(st.text(st.sampled_from("`a \n"), max_size=400), st.integers(60, 100))
@settings(max_examples=500)
def test_no_heap_of_backticks_breaks_a_limit(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < len(piece) <= limit and piece.count("```") % 2 == 0 for piece in pieces)


@given(texts, st.integers(1, 200))
def test_growing_text_keeps_the_pieces_that_are_full(text: str, more: int) -> None:
    before, after = split(text, 100), split(text + "x" * more, 100)
    assert before[:-1] == after[: max(0, len(before) - 1)]


def _code(pieces: list[str]) -> list[str]:
    """The lines inside of code blocks."""
    found: list[str] = []
    for piece in pieces:
        inside = False
        for one in piece.split("\n"):
            is_fence = one.startswith("```")
            found += [one] if inside and not is_fence else []
            inside ^= is_fence
    return found


def _without_end(code: list[str]) -> list[str]:
    """Blank lines before the end of a block may go."""
    return "\n".join(code).rstrip().split("\n")


def _words(text: str) -> str:
    """The text without spaces and without what opens and closes code blocks."""
    return re.sub(r"```|py|json|\s", "", text)
