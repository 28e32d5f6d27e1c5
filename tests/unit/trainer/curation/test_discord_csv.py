"""DiscordChatExporter's CSV: rows with line breaks, quotation marks and formulas are words like others."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.discord_csv import DISCORD_CSV
from chorus.trainer.curation.records import Dropped, Message, Record
from chorus.trainer.curation.source import Source

GOLDEN = Path("tests/fixtures/discord_chat_exporter/general.csv")
NAME = "Example Guild - Text Channels - general [100000000000000010].csv"
HEADER = "AuthorID,Author,Date,Content,Attachments,Reactions"

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def records(data: str | bytes, folder: Path, name: str = NAME) -> list[Record]:
    path = folder / "export.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = Source(name, path)
    return list(DISCORD_CSV.read(source, BuildOptions()))


def row(*cells: str) -> str:
    """As the exporter writes it: every cell in quotation marks, and these twice within one."""
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def said(text: str) -> str:
    return row("1", "alice", "2024-12-24T13:05:00.0000000+00:00", text, "", "")


def texts(read: list[Record]) -> list[str]:
    return [record.text for record in read if isinstance(record, Message)]


def reasons(read: list[Record]) -> list[str]:
    return [record.reason for record in read if isinstance(record, Dropped)]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["Linux", "Windows", "old Mac"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["no mark", "byte order mark"])
def test_every_row_is_read_as_it_is(ends: str, start: str, tmp_path: Path) -> None:
    def of(person: int, name: str, text: str, minute: int, seconds: float = 0.0, *files: str) -> Message:
        return Message(
            channel="100000000000000010",
            author=f"20000000000000000{person}",
            author_name=name,
            text=text,
            at=1735041600.0 + minute * 60 + seconds,  # from 2024-12-24 12:00 UTC
            attachments=files,
            source=NAME,
            account=name.removesuffix("#1234"),
        )

    assert records((start + GOLDEN.read_text()).replace("\n", ends), tmp_path) == [
        of(
            1,
            "alice",
            'hey @Bob, "quoted", check https://x.example/z',
            5,
            0.123,
            "cat one.png",
            "dog.png",
        ),
        of(2, "bob", "line one\n\nline three", 6),
        Dropped("system notice"),
        Dropped("no text"),
        of(3, "old#1234", "=1+1", 9),
        of(3, "old#1234", "@SUM(A1) שלום 👩‍👩‍👧 é", 10),
        Dropped("system notice"),
        of(1, "alice", "Pinned a message. Twice.", 12),
    ]


@in_one_folder
@given(back=st.integers(min_value=1, max_value=len(GOLDEN.read_bytes()) - len(HEADER) - 1))
def test_a_file_that_is_cut_off_keeps_all_whole_rows(back: int, tmp_path: Path) -> None:
    data = GOLDEN.read_bytes()
    left = data[:-back]
    full, read = records(data, tmp_path), records(left, tmp_path)
    ends = [
        end + len(line) for line in data.split(b"\n") if (end := data.index(line)) and line.endswith(b'"')
    ]
    whole = sum(len(left) >= end for end in ends)
    if len(left) in (len(HEADER) + 1, *ends, *(end + 1 for end in ends)):
        assert read == full[:whole]  # nothing tells that there was more
    elif read[-1:] == full[whole : whole + 1]:
        assert left.endswith(b",")  # all but an empty cell for reactions
    else:
        assert read[:-1] == full[:whole]
        assert reasons(read[-1:]) == ["cut off"]


@in_one_folder
@given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), max_size=6))
def test_every_text_comes_through(words: list[str], tmp_path: Path) -> None:
    read = records("\n".join([HEADER, *map(said, words)]), tmp_path)
    assert texts(read) == [text for text in words if text.strip()]
    assert len(read) == len(words)


@in_one_folder
@given(junk=st.text(alphabet='",\n\r\0a\ud800é=1'))
def test_nothing_that_stands_in_a_file_is_a_crash(junk: str, tmp_path: Path) -> None:
    data = f"{HEADER}\n{said('first')}\n{junk}\n{said('last')}\n".encode("utf-8", "surrogatepass")
    try:
        read = records(data, tmp_path)
    except InvalidInput as error:
        assert error.code in {"not_text", "wrong_encoding"}
    else:
        assert texts(read)[:1] == ["first"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ('"1","alice","2024-12-24"', "3 columns where the header has 6"),
        ('"1","ali"ce","2024-12-24T13:05:00Z","x","",""', "expected after"),
        (
            row("1", "alice", "24.12.2024", "x", "", ""),
            "message 2: its date is not like 2024-12-24T13:05:00+00:00.",
        ),
        (said("x" * 140_000), "field larger than field limit"),
    ],
    ids=["short", "quotation mark", "date", "too long"],
)
def test_a_broken_row_costs_no_other(broken: str, says: str, tmp_path: Path) -> None:
    read = records("\n".join([HEADER, said("first"), broken, said("last")]), tmp_path)
    assert (texts(read), reasons(read)) == (["first", "last"], ["broken message"])
    (dropped,) = (record for record in read if isinstance(record, Dropped))
    assert dropped.mend.startswith(f"{NAME}, message 2: ")
    assert says in dropped.mend


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"a \0 sign", "not_text"), (b"a \xff byte", "wrong_encoding"), (b"x" * 2_000_000, "line_too_long")],
    ids=["NUL", "not UTF-8", "endless line"],
)
def test_what_is_no_text_is_refused(data: bytes, code: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        records(f"{HEADER}\n{said('TEXT')}\n".encode().replace(b"TEXT", data), tmp_path)
    assert refused.value.code == code


def test_notices_are_told_by_their_words(tmp_path: Path) -> None:
    notices = [
        "Added Bob B. to the group.",
        "Added a recipient.",
        "Left the group.",
        "Removed Bob from the group.",
        "Removed a recipient.",
        "Started a call that lasted 1,234 minutes.",
        "Changed the channel name: new name",
        "Changed the channel name.",
        "Changed the channel icon.",
        "Pinned a message.",
        "Started a thread.",
        "Joined the server.",
    ]
    words = ["Joined the server!", "Left the group. Sorry.", "He started a thread.", "Added to the group."]
    read = records("\n".join([HEADER, *map(said, notices + words)]), tmp_path)
    assert reasons(read) == ["system notice"] * len(notices)
    assert texts(read) == words


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        (NAME, "100000000000000010"),
        ("a.zip/Guild - general [100000000000000010] (after 2024-01-01) [part 2].csv", "100000000000000010"),
        ("general.csv", "general"),
        ("general [part 2].csv", "general"),
    ],
)
def test_the_parts_of_an_export_are_one_channel(name: str, channel: str, tmp_path: Path) -> None:
    (read,) = records(f"{HEADER}\n{said('hello')}", tmp_path, name)
    assert isinstance(read, Message)
    assert (read.channel, read.source) == (channel, name)


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        (f"{HEADER}\n", True),
        (f"{HEADER}\r\n", True),
        (row(*HEADER.split(",")), True),
        ("user,bot\n", False),
        ("AuthorID,Author,Date,Content\n", False),
        ("", False),
    ],
)
def test_a_file_is_told_by_its_header(head: str, fits: bool) -> None:
    assert DISCORD_CSV.fits(head) is fits
