"""ZIPs: what is refused, what is passed over, and that nothing lands outside of the scratch folder."""

import io
import random
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.errors import InvalidInput
from chorus.trainer.curation import archive
from chorus.trainer.curation.archive import Archive, Scratch
from chorus.trainer.curation.records import Read
from tests.unit.trainer.curation.written import Written, turns, zipped

PAIR = '[{"user": "a", "bot": "b"}]'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
DEFLATE_END = b"\x03\x00"  # an empty last block


def refusal(written: Written, data: bytes) -> InvalidInput:
    before = {path for path in written.folder.rglob("*") if path.parent != written.folder}
    with pytest.raises(InvalidInput) as error:
        list(written.reading(written.source(data, "export.zip")).records)
    assert {path for path in written.folder.rglob("*") if path.parent != written.folder} == before
    return error.value


def with_member(info: zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(info, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "name", ["../evil.json", "a/../../evil.json", "/etc/passwd", "C:\\evil.json", "..\\evil.json"]
)
def test_a_name_that_climbs_is_refused(written: Written, name: str) -> None:
    error = refusal(written, with_member(zipfile.ZipInfo(name), PAIR.encode()))
    assert error.code == "unsafe_archive"
    assert "points out of its folder" in error.message


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(written: Written, kind: int) -> None:
    info = zipfile.ZipInfo("data.json")
    info.external_attr = (kind | 0o777) << 16
    assert refusal(written, with_member(info, b"/etc/passwd")).code == "unsafe_archive"


def test_a_password_is_told(written: Written) -> None:
    data = bytearray(zipped({"data.json": PAIR}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    assert refusal(written, bytes(data)).code == "encrypted_archive"


def test_other_ways_of_packing_are_refused(written: Written) -> None:
    info = zipfile.ZipInfo("data.json")
    info.compress_type = zipfile.ZIP_LZMA
    assert refusal(written, with_member(info)).code == "unsupported_archive"


def test_a_file_that_grows_too_much_is_refused(written: Written) -> None:
    error = refusal(written, zipped({"data.txt": bytes(10_000_000).replace(b"\x00", b"x")}))
    assert error.code == "archive_too_large"
    assert "grows more than 200 times" in error.message


def test_a_size_that_lies_does_not_help(written: Written) -> None:
    data = bytearray(zipped({"data.txt": "word " * 2_000_000}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + at, 10)
    assert refusal(written, bytes(data)).code == "broken_archive"


def test_all_files_together_have_a_limit(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = random.Random(1).randbytes(50_000).hex()
    inner = zipped({f"{n}.txt": noise for n in range(5)})
    path = written.source(zipped({"one.zip": inner, "two.zip": inner})).path
    scratch = Scratch(written.scratch, bytes_left=800_000)
    monkeypatch.setattr("chorus.trainer.curation.reading.Scratch", lambda _folder: scratch)
    assert refusal(written, path.read_bytes()).code == "archive_too_large"


def test_many_files_are_refused(written: Written) -> None:
    assert (
        refusal(written, zipped({f"{n}": "" for n in range(archive.MEMBERS + 1)})).code == "archive_too_large"
    )


def test_a_list_of_members_that_is_huge_is_not_read(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "DIRECTORY", 200)
    assert refusal(written, zipped({f"{n}.json": PAIR for n in range(10)})).code == "broken_archive"


def test_archives_in_archives_end_somewhere(written: Written) -> None:
    data = zipped({"data.json": PAIR})
    assert len(written.records(zipped({"inner.zip": data}))) == 1
    assert refusal(written, zipped({"2.zip": zipped({"1.zip": data})})).code == "unsafe_archive"


@pytest.mark.parametrize("length", [4, 30, 60, -1, -30])
def test_a_zip_that_was_cut_off_is_told(written: Written, length: int) -> None:
    assert refusal(written, zipped({"data.json": PAIR})[:length]).code == "broken_archive"


def test_what_systems_leave_behind_is_no_data(written: Written) -> None:
    litter = {"__MACOSX/._data.txt": "x", "a/.DS_Store": "x", "Thumbs.db": "x", "a/._b.txt": "x"}
    reading = written.reading(zipped({**litter, "a/data.json": PAIR}))
    assert [turns(record) for record in reading.records] == [[("user", "a"), ("assistant", "b")]]
    assert not reading.passed_over


def test_members_of_one_name_are_all_read(written: Written) -> None:
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as file:
        warnings.simplefilter("ignore", UserWarning)  # Python says that a name comes twice
        for number, name in enumerate(("a/x.txt", "a\\x.txt", "./a/x.txt", "a/x.txt", "a/2 x.txt")):
            file.writestr(name, f"text {number}")
    records = written.records(packed.getvalue())
    assert sorted(turns(record)[0][1] for record in records) == [f"text {number}" for number in range(5)]


def test_a_member_without_a_name_does_no_harm(written: Written) -> None:
    data = zipped({"a.json": PAIR, "b": PAIR}).replace(b"b", b"\x00")  # a name ends there
    assert len(written.records(data)) == 2


def test_pictures_and_what_an_export_brings_along_are_counted(written: Written) -> None:
    reading = written.reading(
        zipped(
            {
                "general.json": PAIR,
                "general.json_Files/notes-1A2B3.txt": "an attachment, not the chat",
                "general.json_Files/cat-4F5E6.png": PNG,
                "cat.png": PNG,
                "empty.txt": "",
                "unknown.json": '{"a": 1}',
            }
        )
    )
    assert len(list(reading.records)) == 1
    assert reading.passed_over == {"files of an export": 2, "a picture": 1, "other files": 2}


def test_a_zip_with_nothing_in_it_is_told(written: Written) -> None:
    assert "an empty ZIP" in refusal(written, zipped({})).message
    assert "but a picture (2)" in refusal(written, zipped({"a.png": PNG, "b.png": PNG})).message


@pytest.mark.parametrize(
    ("member", "words"),
    [("word/document.xml", "Word"), ("xl/workbook.xml", "Excel"), ("META-INF/container.xml", "e-book")],
)
def test_documents_that_are_zips_in_truth_are_told(written: Written, member: str, words: str) -> None:
    error = refusal(written, zipped({member: "<x/>"}))
    assert (error.code, words in error.message) == ("unknown_format", True)
    reading = written.reading(zipped({"a.docx": zipped({member: "<x/>"}), "b.json": PAIR}))
    assert len(list(reading.records)) == 1


def test_names_are_fit_to_be_shown(written: Written) -> None:
    (record,) = written.records(written.source(zipped({"a\n\x1b[31m\u202eb.json": PAIR}), "export.zip"))
    assert isinstance(record, Read)
    assert record.source == "export.zip/a��[31m�b.json"


def test_a_member_is_on_the_disk_only_while_it_is_read(written: Written) -> None:
    opened = Archive(written.source(zipped({"a.txt": "a", "b.txt": "b"})), Scratch(written.scratch))
    for name in opened.names:
        with opened.open(name) as source:
            assert [source.path] == list(written.scratch.iterdir())
            assert source.path.read_text() == name[0]
    opened.close()
    assert not list(written.scratch.iterdir())


def test_reading_may_end_early(written: Written) -> None:
    reading = written.reading(zipped({"a.json": PAIR, "b.json": PAIR}))
    next(reading.records)
    reading.records.close()  # type: ignore[attr-defined]
    assert not list(written.scratch.iterdir())


GOOD = zipped({"a/data.json": PAIR, "b.txt": "one\n\ntwo", "c.zip": zipped({"d.csv": "user,bot\na,b\n"})})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_end_in_words(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    written = Written(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        try:
            list(written.reading(bytes(data)).records)
        except InvalidInput as error:
            assert error.message.endswith(".")
    assert not list(written.scratch.iterdir())
