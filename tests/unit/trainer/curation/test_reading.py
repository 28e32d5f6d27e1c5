"""Reading: each file is told by what is in it, all are read in order, and any bytes end in words."""

import io
import json
import tracemalloc
import zipfile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation.records import Read
from tests.unit.trainer.curation.built import built, dialogues
from tests.unit.trainer.curation.written import Written, turns, zipped

PAIRS = '[{"user": "a", "bot": "b"}]'
shared = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        (PAIRS, "conversation JSON"),
        ('{"prompt": "a", "completion": "b"}\n', "conversation JSON"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
            "messages JSON",
        ),
        ("user,bot\na,b\n", "table"),
        ("author;content\na;b\n", "table"),
        ("Once upon a time", "plain text"),
        ("[12:05] mira: hello\n[12:06] tom: hi", "plain text"),
        ("[ ] buy milk\n[x] sleep", "plain text"),
        ("{{Infobox}} is a template", "plain text"),
        ("[1] is a footnote", "plain text"),
    ],
)
@pytest.mark.parametrize(
    "start", ["", "\ufeff", "\ufeff\n  ", "\n\n"], ids=["", "mark", "mark and blanks", "blanks"]
)
def test_a_file_is_told_by_what_is_in_it(written: Written, text: str, format_: str, start: str) -> None:
    reading = written.reading(written.source(start + text, "lies.pdf"))
    assert len(list(reading.records)) == 1
    (name,) = reading.formats
    assert name.startswith(format_)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1, 2]", "a JSON list of something else than objects"),
        (b"[]", "an empty JSON list"),
        (b'{"name": "x", "size": [1, {"deep": 2}]}', 'JSON objects with "name", "size"'),
        (b'[{"a\\ud83d": "b"}]', '"a?"'),
        (b'[{"' + b"k" * 600_000 + b'": 1}]', f'"{"k" * 60}…"'),
        (b"[" * 100_000, "a JSON list"),
        (b'{"a":' * 50_000, '"a"'),
        (b"%PDF-1.7\x00", "a PDF: save it as plain text"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"SQLite format 3\x00", "a SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old document of Word or Excel"),
        (b"Rar!\x1a\x07", "a RAR archive: pack it as ZIP"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (b"{\\rtf1 hello}", "an RTF document"),
        (b"\n<!DOCTYPE html><html>", "a web page or XML: export it as JSON instead"),
    ],
    ids=range(16),
)
def test_what_no_reader_takes_is_described(written: Written, data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        written.records(data)
    assert error.value.code == "unknown_format"
    assert words in error.value.message
    assert "Accepted are" in error.value.message
    assert len(error.value.message.encode()) < 600


def test_files_are_read_one_after_the_other(written: Written) -> None:
    names = ["b.json", "a.json", "a.json"]
    files = [written.source(f'[{{"user": "{n}", "bot": "x"}}]', name) for n, name in enumerate(names)]
    reading = written.reading(*files, written.source("text", "c.txt"))
    records = list(reading.records)
    assert [record.source for record in records if isinstance(record, Read)] == [*names, "c.txt"]
    assert [turns(record)[0] for record in records[:3]] == [("user", f"{n}") for n in range(3)]
    assert list(reading.formats.values()) == [3, 1]


def test_one_file_that_cannot_be_read_is_an_error(written: Written) -> None:
    with pytest.raises(InvalidInput, match=r"b\.pdf looks like a PDF"):
        written.records(PAIRS, written.source(b"%PDF", "b.pdf"))


def test_memory_does_not_grow_with_the_file(written: Written) -> None:
    entry = '{"user": "%s", "bot": "b"},\n' % ("x" * 1000)
    small, large = (written.source(f"[{entry * count}{PAIRS[1:]}") for count in (500, 20_000))
    peaks: list[int] = []
    for source in (small, large):
        reading = written.reading(source)
        tracemalloc.start()
        for _ in reading.records:
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert large.size > 20_000_000
    assert peaks[1] < 3 * peaks[0] < 20_000_000


IMPOSSIBLE = ("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00")


@pytest.mark.parametrize("at", [*IMPOSSIBLE, "1e30", "-5", "18446744073709551615"])
def test_a_time_that_cannot_be_costs_one_entry_in_every_format(written: Written, at: str) -> None:
    message = {"author": {"id": "1", "name": "a"}, "content": "x", "id": "5", "timestamp": at}
    iso = at in IMPOSSIBLE
    files = [
        f"author,date,content\na,{at},x\n",
        zipped({
            "m/c1/channel.json": "{}",
            "m/c1/messages.json": json.dumps([{"ID": 1, "Timestamp": at, "Contents": "x"}]),
        }),
        *([f'AuthorID,Author,Date,Content,Attachments,Reactions\n"1","a","{at}","x","",""\n'] if iso else []),
        *([json.dumps({"guild": {}, "channel": {"id": "1"}, "messages": [message]})] if iso else []),
    ]  # fmt: skip
    records = written.records(*files)
    assert len(records) == len(files)
    made = built([*records, *dialogues(3)])
    assert made.card.dropped == {"broken message": len(files)}


def seeds() -> list[bytes]:
    """A file of each format, for changes to begin with."""
    return [
        PAIRS.encode(),
        b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
        b'{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}\n',
        b'user;bot\n"a\nb";c\n',
        b"author,content,date\nmira,hi,2024-03-01\n",
        b"[12:05] mira: hello",
        zipped({"parameters.json": "{}", "DiscordChatExporter/a.txt": "hello"}),
        zipped({"m/c1/channel.json": "{}", "m/c1/messages.csv": "ID,Timestamp,Contents,Attachments\n"}),
    ]


@shared
@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b'{"user": ' + b'{"bot": ' * 100_000)
def test_hostile_bytes_end_in_words(written: Written, data: bytes) -> None:
    try:
        written.records(data)
    except InvalidInput as error:
        assert error.message.endswith((".", "?"))


@shared
@given(st.sampled_from(seeds()), st.data())
def test_changed_files_end_in_words(written: Written, data: bytes, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(start, len(data)))
    inserted = draw.draw(
        st.binary(max_size=9) | st.sampled_from([b"[" * 99_999, b"\x00", b'"', b"\xff", b"9" * 5000])
    )
    try:
        written.records(data[:start] + inserted + data[end:])
    except InvalidInput as error:
        assert error.message.endswith((".", "?"))


def test_a_zip_of_a_million_nothings_is_answered_at_once(written: Written) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.json", PAIRS)
    data = bytearray(packed.getvalue())
    data[-10:-6] = (0xFFFFFFF0).to_bytes(4, "little")  # what its list of members is said to take
    with pytest.raises(InvalidInput) as error:
        written.records(bytes(data))
    assert error.value.code == "broken_archive"
