"""Pairs in JSON: under the names that people know, streamed, and each one accounted for."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.entries import LONGEST_ENTRY, WINDOW
from chorus.trainer.curation.records import Dropped, Read
from tests.unit.trainer.curation.written import Written, dropped, turns

PAIRS = '[{"user": "née?", "bot": "née!\\n🌊"}, {"user": "b", "bot": "  "}, {"user": "c", "bot": "d"}]'
shared = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def test_each_pair_is_an_example_or_is_dropped_with_a_reason(written: Written) -> None:
    records = written.records(written.source(PAIRS, "pairs.txt"))
    assert turns(records[0]) == [("user", "née?"), ("assistant", "née!\n🌊")]
    assert dropped(records) == ["empty message"]
    assert [record.source for record in records if isinstance(record, Read)] == ["pairs.txt"] * 2


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("user", "bot"),
        ("input", "output"),
        ("prompt", "completion"),
        ("question", "answer"),
        ("instruction", "output"),
    ],
)
@pytest.mark.parametrize("lines", [False, True], ids=["list", "JSON lines"])
def test_both_sides_may_be_called_differently(
    written: Written, asked: str, answered: str, lines: bool
) -> None:
    pairs = [{"id": 1, asked: f"q{n}", answered: f"a{n}"} for n in range(3)]
    text = "\n".join(map(json.dumps, pairs)) if lines else json.dumps(pairs, indent=1)
    assert [turns(r) for r in written.records(text)] == [
        [("user", f"q{n}"), ("assistant", f"a{n}")] for n in range(3)
    ]


def test_an_instruction_is_followed_by_its_input(written: Written) -> None:
    entries = [
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"instruction": "Hi", "input": "", "output": "Ho"},
    ]
    first, second = written.records(json.dumps(entries))
    assert turns(first)[0] == ("user", "Add.\n\n1, 2")
    assert turns(second)[0] == ("user", "Hi")


def test_a_label_is_kept(written: Written) -> None:
    entries = [{"prompt": "a", "completion": "b", "label": label} for label in (True, False, None)]
    assert [r.label for r in written.records(json.dumps(entries)) if isinstance(r, Read)] == [
        True,
        False,
        None,
    ]


def test_one_wrong_entry_among_good_ones_is_left_out_and_said(written: Written) -> None:
    entries = [
        {"user": "a", "bot": "b"},
        {"user": "a", "bot": 3},
        7,
        {"user": "a"},
        {"user": "c", "bot": "d"},
    ]
    records = written.records(json.dumps(entries))
    assert dropped(records) == ["wrong shape"] * 3
    assert records[1] == Dropped("wrong shape", 'Entry 2 has a "bot" that is no text, and is left out.')
    assert [type(r) for r in records] == [Read, Dropped, Dropped, Dropped, Read]


def test_what_a_cut_emoji_leaves_is_left_out_and_said(written: Written) -> None:
    whole, half = {"user": "a", "bot": "🦊"}, {"user": "a", "bot": "\ud83e"}
    records = written.records(json.dumps([whole, half, whole]))
    assert records[1] == Dropped(
        "half a character", "Entry 2 has half a character (\\ud800 to \\udfff alone), and is left out."
    )


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('[{"user": "a", "bot": "b"},]', "broken_json", "line 1, column"),
        ('[\n{"user": "a"\n', "broken_json", "ends too early"),
        ('[{"user": "a", "bot": "b"}] and more', "broken_json", "more after"),
        ('[{"user": "a", "bot": "b"} {"user": "a"}]', "broken_json", "`,` is missing"),
        ('[{"user": "a", "bot": "b"},\n{"user": "a" "bot"}]' + " " * 99, "broken_json", "line 2, column 14"),
        ('[{"user": "a", "bot": 3}]', "wrong_shape", "Entry 1"),
        ('[{"user": 1, "bot": ' + "1" * 5000 + "}]", "broken_json", "too many digits"),
        ('[{"user": "a", "bot": ' + "[" * 100_000, "broken_json", "nested too deep"),
        ('[{"user": "a", "bot": "a\x00b"}]', "not_text", "no text file"),
        ('[{"user": "' + "x" * 2 * LONGEST_ENTRY + '", "bot": "b"}]', "entry_too_long", "line 1"),
    ],
    ids=range(10),
)
def test_what_is_wrong_is_said_with_its_place(written: Written, text: str, code: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(text)
    assert (error.value.code, words in error.value.message) == (code, True), error.value.message


def test_bytes_that_are_no_text_are_told_where_they_are(written: Written) -> None:
    text = PAIRS.encode() + b" " * WINDOW + b"\n\n\xe9 "
    with pytest.raises(InvalidInput, match="line 3 is not UTF-8"):
        written.records(text)


def test_entries_go_on_over_the_window(written: Written) -> None:
    pairs = [{"user": "ü" * n, "bot": "🌊" * n} for n in (1, WINDOW // 3, 2, WINDOW, 3)]
    for mark in ("utf-8", "utf-8-sig", "utf-16"):
        records = written.records(json.dumps(pairs, ensure_ascii=False).encode(mark))
        assert [[len(t) for _, t in turns(r)] for r in records] == [[len(p["user"])] * 2 for p in pairs]


@shared
@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.text(min_size=1)).filter(lambda p: p[0].strip() and p[1].strip()),
        min_size=1,
    ),
    st.booleans(),
    st.randoms(),
)
def test_all_text_survives(written: Written, pairs: list[tuple[str, str]], ascii_only: bool, random) -> None:  # type: ignore[no-untyped-def]
    random.shuffle(pairs)
    text = json.dumps([{"user": a, "bot": b} for a, b in pairs], ensure_ascii=ascii_only)
    assert [turns(r) for r in written.records(text)] == [[("user", a), ("assistant", b)] for a, b in pairs]


@pytest.mark.parametrize("lines", [False, True], ids=["list", "JSON lines"])
def test_a_file_that_was_cut_off_loses_no_whole_entry(written: Written, lines: bool) -> None:
    entries = [
        json.dumps({"user": f"é{n}", "bot": f"🌊{n}", "more": [n, -1.5e3, None]}, ensure_ascii=False)
        for n in range(3)
    ]
    data = ("\n".join(entries) if lines else f"[{', '.join(entries)}]").encode()
    ends = [data.index(entry.encode()) + len(entry.encode()) for entry in entries]
    for end in range(ends[0], len(data)):
        records = written.records(data[:end])
        whole = sum(end >= at for at in ends)
        assert len(records) - len(dropped(records)) == whole
        is_between = lines and not data[:end][ends[whole - 1] :].strip()
        assert dropped(records) == ([] if is_between else ["cut off"])
