"""Plain text: pieces of whole paragraphs, and no word lost."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.text import PIECE
from chorus.trainer.curation.source import LONGEST_LINE
from tests.unit.trainer.curation.written import Written, turns

shared = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def pieces(written: Written, text: str | bytes) -> list[str]:
    found = [turns(record) for record in written.records(text)]
    assert all([role for role, _ in piece] == ["assistant"] for piece in found)
    return [piece[0][1] for piece in found]


def test_a_short_text_is_one_piece(written: Written) -> None:
    assert pieces(written, "One.\r\n\r\nTwo, a longer one.\r\n") == ["One.\n\nTwo, a longer one."]


def test_paragraphs_stay_whole(written: Written) -> None:
    paragraphs = [f"{n} " + "x" * 900 for n in range(5)]
    assert pieces(written, "\n\n\n".join(paragraphs)) == [
        "\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:4]), paragraphs[4],
    ]  # fmt: skip


def test_hard_wrapped_lines_keep_their_text(written: Written) -> None:
    wrapped = "It was the best of times,\nit was the worst of times,\n  it was indented."
    assert pieces(written, wrapped) == [wrapped]


def test_a_paragraph_that_is_too_long_is_cut_between_words(written: Written) -> None:
    found = pieces(written, "word " * 4000)
    assert len(found) == 10
    assert {word for piece in found for word in piece.split()} == {"word"}


def test_utf_16_with_its_mark_is_read(written: Written) -> None:
    assert pieces(written, "née 🌊".encode("utf-16")) == ["née 🌊"]


def test_half_a_character_at_the_end_of_a_cut_file_is_left_out(written: Written) -> None:
    assert pieces(written, "née 🌊".encode()[:-2]) == ["née "]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ("héllo".encode("latin-1"), "wrong_encoding", "line 1 is not UTF-8 text (byte 0xe9)"),
        (b"ok\nok\n\xff", "wrong_encoding", "line 3"),
        ("text".encode("utf-16-le"), "not_text", "no text file"),
        (b"x\n" * 50_000 + b"\x00", "not_text", "line 50001"),
        (b"x" * 10 * LONGEST_LINE, "line_too_long", "line 1"),
        (b"", "empty_file", "empty"),
        (b"\xef\xbb\xbf \n\t ", "empty_file", "empty"),
    ],
    ids=["latin-1", "broken UTF-8", "UTF-16 without a mark", "NUL", "endless line", "empty", "blank"],
)
def test_what_is_wrong_is_said(written: Written, data: bytes, code: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(data)
    assert (error.value.code, words in error.value.message) == (code, True), error.value.message


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


@shared
@given(st.lists(texts, min_size=1, max_size=9), st.integers(1, 300))
def test_no_word_of_a_text_is_lost(written: Written, paragraphs: list[str], times: int) -> None:
    text = "x " + "\n\n".join(paragraphs) * times
    found = pieces(written, text)
    assert max(map(len, found)) <= PIECE
    assert "".join("".join(found).split()) == "".join(text.split())
