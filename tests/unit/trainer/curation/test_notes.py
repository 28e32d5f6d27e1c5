"""What is said of files: those that were not read, threads that are missing, one channel in two formats."""

import json

import pytest

from tests.unit.trainer.curation.test_discord_txt import CLOCKS, LONG_CHAT, exported
from tests.unit.trainer.curation.written import Written, zipped

PAIR = '[{"user": "a", "bot": "b"}]'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def export(kind: str, *, exporter: bool = True) -> str:
    """A file as DiscordChatExporter has it, or as another program that writes its format."""
    head: dict[str, object] = {"guild": {"id": "1"}, "channel": {"id": "10", "type": kind, "topic": "{}"}}
    if exporter:
        head["dateRange"] = {"after": None, "before": None}
    return json.dumps(head | {"messages": []}, indent=2)


def notes(written: Written, *contents: str | bytes) -> list[str]:
    reading = written.reading(*contents)
    list(reading.records)
    return reading.notes()


def test_files_in_zips_that_were_not_read_are_told_by_what_they_are(written: Written) -> None:
    files = {"a.json": PAIR, "b.pdf": b"%PDF-1.7", "c.pdf": b"%PDF-1.4", "d.png": PNG}
    assert notes(written, zipped(files)) == ["3 files in ZIPs were not read: a PDF (2), a picture (1)."]
    assert notes(written, zipped({"a.json": PAIR, "b.png": PNG})) == [
        "1 file in a ZIP was not read: a picture (1)."
    ]


def test_what_an_export_brings_along_is_not_worth_a_word(written: Written) -> None:
    assert notes(written, zipped({"a.json": PAIR, "a.json_Files/d.png": PNG})) == []
    assert notes(written, zipped({"parameters.json": "{}", "DiscordChatExporter/a.txt": "One."})) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([export("GuildTextChat")], True),
        ([export("GuildNews"), export("GuildTextChat")], True),
        ([export("GuildTextChat"), export("GuildPublicThread")], False),
        ([export("DirectTextChat")], False),
        ([export("GuildTextChat", exporter=False)], False),
        ([PAIR], False),
    ],
    ids=["a channel", "two", "with a thread", "a talk of two", "mined here", "something else"],
)
def test_threads_that_an_export_may_lack_are_told(written: Written, files: list[str], told: bool) -> None:
    assert [("--include-threads" in note) for note in notes(written, *files)] == [True] * told


def test_txt_beside_another_format_is_told(written: Written) -> None:
    txt = exported(LONG_CHAT, CLOCKS["en-US"])
    csv = "AuthorID,Author,Date,Content,Attachments,Reactions\n"
    assert notes(written, txt) == []
    (note,) = notes(written, txt, csv)
    assert "counts twice" in note
