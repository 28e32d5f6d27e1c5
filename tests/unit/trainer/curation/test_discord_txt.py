"""DiscordChatExporter's TXT: the same chat in every language, and nothing that only looks like one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers.discord_headers import in_order
from chorus.trainer.curation.readers.discord_txt import DISCORD_TXT
from chorus.trainer.curation.records import Dropped, Message, Record
from chorus.trainer.curation.source import Source

FIXTURES = Path("tests/fixtures/discord_chat_exporter")
GOLDEN = FIXTURES / "general.txt"
RULE = "=" * 62
SUMMER, NEW_YEAR = datetime(2024, 7, 3, 9, 5, tzinfo=UTC), datetime(2024, 12, 24, 0, 5, tzinfo=UTC)

Clock = Callable[[datetime], str]
Said = tuple[datetime, str, str]  # when, by whom, what

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def half(at: datetime, am: str = "AM", pm: str = "PM") -> tuple[int, str]:
    return (at.hour + 11) % 12 + 1, pm if at.hour >= 12 else am


def clock(pattern: str, am: str = "AM", pm: str = "PM") -> Clock:
    """.NET's patterns, as far as languages use them: `M/d/yyyy h:mm tt`."""

    def written(at: datetime) -> str:
        hour, mark = half(at, am, pm)
        parts = {
            "yyyy": f"{at.year}", "yy": f"{at.year % 100:02}", "MM": f"{at.month:02}", "M": f"{at.month}",
            "dd": f"{at.day:02}", "d": f"{at.day}", "HH": f"{at.hour:02}", "H": f"{at.hour}",
            "hh": f"{hour:02}", "h": f"{hour}", "mm": f"{at.minute:02}", "tt": mark,
        }  # fmt: skip
        return "".join(parts.get(part, part) for part in pattern.replace("|", "\0").split("\0"))

    return written


CLOCKS: dict[str, Clock] = {
    "en-US": clock("M|/|d|/|yyyy| |h|:|mm|\u202f|tt"),
    "en-US, older": clock("M|/|d|/|yyyy| |h|:|mm| |tt"),
    "en-GB": clock("dd|/|MM|/|yyyy| |HH|:|mm"),
    "en-AU": clock("d|/|M|/|yyyy| |h|:|mm|\u202f|tt", "am", "pm"),
    "en-CA": clock("yyyy|-|MM|-|dd| |h|:|mm|\u202f|tt", "a.m.", "p.m."),
    "es-MX": clock("dd|/|MM|/|yyyy| |hh|:|mm| |tt", "a.\u00a0m.", "p.\u00a0m."),
    "es-ES": clock("d|/|M|/|yyyy| |H|:|mm"),
    "de-DE": clock("dd|.|MM|.|yyyy| |HH|:|mm"),
    "fr-FR": clock("dd|/|MM|/|yyyy| |HH|:|mm"),
    "fr-CA": clock("yyyy|-|MM|-|dd| |HH| h |mm"),
    "ru-RU": clock("dd|.|MM|.|yyyy| |HH|:|mm"),
    "sv-SE": clock("yyyy|-|MM|-|dd| |HH|:|mm"),
    "pt-BR": clock("dd|/|MM|/|yyyy| |HH|:|mm"),
    "nl-NL": clock("dd|-|MM|-|yyyy| |HH|:|mm"),
    "pl-PL": clock("d|.|MM|.|yyyy| |HH|:|mm"),
    "tr-TR": clock("d|.|MM|.|yyyy| |HH|:|mm"),
    "cs-CZ": clock("d|. |M|. |yyyy| |H|:|mm"),
    "hr-HR": clock("dd|. |MM|. |yyyy|. |HH|:|mm"),
    "hu-HU": clock("yyyy|. |MM|. |dd|. |H|:|mm"),
    "fi-FI": clock("d|.|M|.|yyyy| |H|.|mm"),
    "bg-BG": clock("d|.|MM|.|yyyy| г. |H|:|mm"),
    "el-GR": clock("d|/|M|/|yyyy| |h|:|mm| |tt", "π.μ.", "μ.μ."),
    "ja-JP": clock("yyyy|/|MM|/|dd| |H|:|mm"),
    "ja-JP, 12 hours": clock("yyyy|/|MM|/|dd| |tt|h|:|mm", "午前", "午後"),
    "ko-KR": clock("yyyy|. |M|. |d|. |tt| |h|:|mm", "오전", "오후"),
    "zh-CN": clock("yyyy|/|M|/|d| |HH|:|mm"),
    "zh-TW": clock("yyyy|/|M|/|d| |tt|hh|:|mm", "上午", "下午"),
    "zh-SG": clock("yyyy|年|M|月|d|日 |tt|h|:|mm", "上午", "下午"),
    "ar-AE": clock("d|\u200f/|M|\u200f/|yyyy| |h|:|mm| |tt", "ص", "م"),
    "ar-EG": lambda at: clock("d|\u200f/|M|\u200f/|yyyy| |h|:|mm| |tt", "ص", "م")(at).translate(
        {ord("0") + digit: 0x660 + digit for digit in range(10)}
    ),
    "th-TH": lambda at: f"{at.day}/{at.month}/{at.year + 543} {at.hour}:{at.minute:02}",
    "a short year": clock("dd|/|MM|/|yy| |HH|:|mm"),
    "until 2023": lambda at: at.strftime("%d-%b-%y %I:%M %p"),
}


def exported(chat: Sequence[Said], written: Clock, *, thousands: str = ",", ends: str = "\n") -> str:
    """A file as the exporter writes it."""
    lines = [
        RULE,
        "Guild: Example Guild",
        "Channel: Text Channels / general",
        "Topic: chit",
        "chat",
        RULE,
        "",
    ]
    for at, name, text in chat:
        lines += [f"[{written(at)}] {name}", *text.split("\n"), "", ""]
    count = f"{len(chat):,}".replace(",", thousands)
    return "".join(f"{line}{ends}" for line in [*lines, RULE, f"Exported {count} message(s)", RULE])


def records(data: str | bytes, folder: Path, **options: str) -> list[Record]:
    path = folder / "export.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = Source("export.txt", path)
    return list(DISCORD_TXT.read(source, BuildOptions.model_validate(options)))


def kept(read: list[Record]) -> list[Said]:
    return [
        (datetime.fromtimestamp(record.at, UTC), record.author_name, record.text)
        for record in read
        if isinstance(record, Message)
    ]


def reasons(read: list[Record]) -> list[str]:
    return [record.reason for record in read if isinstance(record, Dropped)]


def chat_from(start: datetime, step: timedelta, count: int) -> list[Said]:
    return [(start + n * step, f"user{n % 3}", f"message {n}") for n in range(count)]


LONG_CHAT = chat_from(NEW_YEAR, timedelta(hours=7, minutes=29), 40)


@pytest.mark.parametrize("written", CLOCKS.values(), ids=CLOCKS.keys())
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["Linux", "Windows"])
def test_the_same_chat_is_read_in_every_language(written: Clock, ends: str, tmp_path: Path) -> None:
    text = exported(LONG_CHAT, written, ends=ends)
    assert DISCORD_TXT.fits(text[:200])
    read = records(text, tmp_path)
    assert kept(read) == LONG_CHAT
    assert len(read) == len(LONG_CHAT)


@pytest.mark.parametrize("written", CLOCKS.values(), ids=CLOCKS.keys())
def test_newest_first_is_no_obstacle(written: Clock, tmp_path: Path) -> None:
    assert kept(records(exported(LONG_CHAT[::-1], written), tmp_path)) == LONG_CHAT[::-1]


@pytest.mark.parametrize("thousands", [",", ".", " ", "\u202f", "\u00a0", "’", "٬", ""])
def test_the_count_is_read_whatever_parts_thousands(thousands: str, tmp_path: Path) -> None:
    chat = chat_from(SUMMER, timedelta(minutes=50), 1234)
    read = records(exported(chat, CLOCKS["en-US"], thousands=thousands), tmp_path)
    assert kept(read) == chat
    assert len(read) == 1234


def test_every_trap_of_an_export_is_known(tmp_path: Path) -> None:
    def of(name: str, text: str, minute: int, *files: str, hour: int = 13) -> Message:
        return Message(
            channel="Text Channels / general",
            author=f"name:{name.removesuffix('#1234')}",
            author_name=name,
            text=text,
            at=datetime(2024, 12, 24, hour, minute, tzinfo=UTC).timestamp(),
            attachments=files,
            source="export.txt",
            account=name.removesuffix("#1234"),
        )

    quotes = (
        "line one\n\nline three\n\n[12/24/2024 1:00\u202fPM] alice\nis a quote after one empty line\n\n\n"
        "[12/24/2023 9:00\u202fAM] alice\nis one after two, and of another year"
    )
    looks_like_a_block = "they say\n{Attachments}\nand\n\n{Attachments}\n\nis nothing\nשלום 👩‍👩‍👧 é"
    assert records(GOLDEN.read_bytes(), tmp_path) == [
        of("alice", "hey @Bob check https://x.example/z", 5, "cat.png", "dog.png"),
        of("bob", quotes, 6),
        Dropped("system notice"),
        of("alice", "https://x.example/z", 8),
        of("old#1234", looks_like_a_block, 9),
        Dropped("no text"),
        Dropped("forwarded message"),
        of("helper", "clocks went back", 12, hour=12),
    ]


def test_the_layout_of_2020_is_read(tmp_path: Path) -> None:
    read = records((FIXTURES / "of_2020.txt").read_bytes(), tmp_path)
    assert kept(read) == [
        (datetime(2024, 12, 24, 13, 5, tzinfo=UTC), "alice#0001", "hey"),
        (datetime(2024, 12, 24, 13, 6, tzinfo=UTC), "bob#0002", "line one\n\nline three"),
        (datetime(2024, 12, 25, 0, 1, tzinfo=UTC), "alice#0001", "good night"),
    ]
    assert len(read) == 3


@pytest.mark.parametrize(("locale", "month"), [("en-US", 7), ("en_US", 7), ("en-GB", 3), ("de-DE", 3)])
def test_dates_that_can_be_read_in_two_ways_are_asked_about(locale: str, month: int, tmp_path: Path) -> None:
    text = exported(chat_from(SUMMER, timedelta(minutes=9), 9), CLOCKS["en-US"])
    with pytest.raises(InvalidInput, match="locale=en-US") as refused:
        records(text, tmp_path)
    assert (refused.value.code, refused.value.param) == ("ambiguous_dates", "locale")
    assert {at.month for at, _, _ in kept(records(text, tmp_path, locale=locale))} == {month}


@pytest.mark.parametrize("written", ["en-US", "en-AU"])
def test_the_order_of_messages_tells_days_from_months(written: str, tmp_path: Path) -> None:
    dates = [
        datetime(2024, month, day, 9, 5, tzinfo=UTC) for month, day in [(3, 11), (3, 12), (4, 1), (4, 2)]
    ]
    chat = [(at, "alice", "hi") for at in dates]
    assert kept(records(exported(chat, CLOCKS[written]), tmp_path)) == chat


def test_a_locale_does_not_outweigh_what_the_dates_say(tmp_path: Path) -> None:
    text = exported(LONG_CHAT, CLOCKS["en-GB"])
    assert kept(records(text, tmp_path, locale="en-US")) == LONG_CHAT


def test_one_day_that_reads_alike_both_ways_is_no_question(tmp_path: Path) -> None:
    chat = chat_from(datetime(2024, 5, 5, 9, 5, tzinfo=UTC), timedelta(minutes=9), 9)
    assert kept(records(exported(chat, CLOCKS["en-US"]), tmp_path)) == chat


@pytest.mark.parametrize(
    "written",
    [
        lambda at: f"{1403}/{at.month}/{at.day} {at.hour}:{at.minute:02}",
        lambda at: "once upon a time",
        clock("M|/|d|/|yyyy| |h|:|mm| |tt", "kabla", "baada"),
    ],
    ids=["another calendar", "no date", "unknown words"],
)
def test_dates_that_nobody_can_read_are_refused(written: Clock, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--locale en-US") as refused:
        records(exported(LONG_CHAT, written), tmp_path)
    assert refused.value.code == "unknown_dates"


@pytest.mark.parametrize(
    "later", ["24.12.2024 г. 13:07 ч.", "24.12.2024 13:07", "24. prosince 2024 13:07:00 SEČ"]
)
def test_a_date_unlike_the_first_one_is_no_part_of_the_message_before(later: str, tmp_path: Path) -> None:
    dates = iter(["24.12.2024 г. 13:05", "24.12.2024 г. 13:06", later])
    chat = chat_from(NEW_YEAR, timedelta(minutes=1), 3)
    with pytest.raises(InvalidInput) as refused:
        records(exported(chat, lambda _at: next(dates)), tmp_path)
    assert refused.value.code == "unknown_dates"


@pytest.mark.parametrize("locale", ["us", "xx-YY", "zz"])
def test_a_locale_that_nobody_knows_is_refused(locale: str, tmp_path: Path) -> None:
    text = exported(chat_from(SUMMER, timedelta(minutes=1), 3), CLOCKS["en-US"])
    with pytest.raises(
        InvalidInput, match=f'"{locale}" is no known `locale`.*`en-US` .12/24/2024.'
    ) as refused:
        records(text, tmp_path, locale=locale)
    assert (refused.value.code, refused.value.param) == ("unknown_locale", "locale")


@pytest.mark.parametrize("name", ["mara#1234", "mara#0000", "mara"])
def test_the_digits_of_former_times_are_no_part_of_who_it_is(name: str, tmp_path: Path) -> None:
    (read,) = records(exported([(NEW_YEAR, name, "hi")], CLOCKS["en-US"]), tmp_path)
    assert isinstance(read, Message)
    assert (read.author, read.author_name, read.account) == ("name:mara", name, "mara")


def test_a_pinned_message_keeps_its_author(tmp_path: Path) -> None:
    text = exported([(NEW_YEAR, "alice (pinned)", "hi")], CLOCKS["en-US"])
    (read,) = records(text, tmp_path)
    assert isinstance(read, Message)
    assert (read.author, read.author_name) == ("name:alice", "alice")


def test_messages_that_are_not_there_are_missed(tmp_path: Path) -> None:
    text = exported(LONG_CHAT, CLOCKS["en-US"]).replace("Exported 40", "Exported 1,040")
    read = records(text, tmp_path)
    assert kept(read) == LONG_CHAT
    assert reasons(read) == ["missing"]


def test_an_export_without_messages_is_no_error(tmp_path: Path) -> None:
    assert records(exported([], CLOCKS["en-US"]), tmp_path) == []


HEADS = [f"[12/24/2024 1:{minute:02}\u202fPM] " for minute in range(5, 12)] + ["[12/24/2024 12:12", RULE]


@in_one_folder
@given(cut=st.integers(min_value=139, max_value=len(GOLDEN.read_bytes()) - 2))
def test_a_file_that_is_cut_off_keeps_all_whole_messages(cut: int, tmp_path: Path) -> None:
    data = GOLDEN.read_bytes()
    ends = [data.rindex(f"\n\n{head}".encode()) + 2 for head in HEADS[1:-1]]
    ends.append(data.index(b"\n\n\n" + RULE.encode()) + 3)
    full, read = records(data, tmp_path), records(data[:cut], tmp_path)
    whole = sum(end <= cut for end in ends)
    assert read[:whole] == full[:whole]
    assert reasons(read[-1:]) == ["cut off"]
    for begun in read[whole:-1]:  # at most one, of which nobody can tell whether it had ended there
        assert isinstance(begun, Dropped) or kept([full[whole]])[0][2].startswith(begun.text)
    assert len(read) - whole <= 2


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x1a"), min_size=1).filter(
    lambda text: text == text.strip() and "\n\n\n" not in text
)


@in_one_folder
@given(words=st.lists(WORDS, max_size=6), name=st.sampled_from(sorted(CLOCKS)))
def test_every_text_comes_through(words: list[str], name: str, tmp_path: Path) -> None:
    chat = [(NEW_YEAR + n * timedelta(minutes=1), "alice", text) for n, text in enumerate(words)]
    read = records(exported(chat, CLOCKS[name]), tmp_path, locale="en-US" if "US" in name else "de-DE")
    assert kept(read) == chat
    assert len(read) == len(words)


@in_one_folder
@given(order=st.permutations(range(12)))
def test_messages_in_any_order_are_all_kept(order: list[int], tmp_path: Path) -> None:
    chat = [LONG_CHAT[n] for n in order]
    assert kept(records(exported(chat, CLOCKS["de-DE"]), tmp_path)) == chat


@in_one_folder
@given(
    lines=st.lists(
        st.sampled_from(
            ["", "", "a", RULE, "Exported 2 message(s)", "{Attachments}", "{Embed}", "{Reactions}", "👍 (3)",
             "{Forwarded Message}", "Originally sent: x", "[24.12.2024 13:05] bob", "[99.99.9999 99:99] x",
             "[24.12.2024", "[1 2 3 4 5 6] x", "[²³ 1 1 1 1 1] y", "\ud800"]
        ),
        max_size=20,
    )
)  # fmt: skip
def test_nothing_that_stands_in_a_file_is_a_crash(lines: list[str], tmp_path: Path) -> None:
    start = exported([], CLOCKS["de-DE"]).split(RULE + "\nExported")[0]
    data = (start + "\n".join(lines)).encode("utf-8", "surrogatepass")
    try:
        read = records(data, tmp_path)
    except InvalidInput as error:
        assert error.code in {"unknown_dates", "wrong_encoding"}
    else:
        assert all(isinstance(record, Message | Dropped) for record in read)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"a \0 sign", "not_text"), (b"a \xff byte", "wrong_encoding"), (b"x" * 2_000_000, "line_too_long")],
    ids=["NUL", "not UTF-8", "endless line"],
)
def test_what_is_no_text_is_refused(data: bytes, code: str, tmp_path: Path) -> None:
    text = exported([(NEW_YEAR, "alice", "TEXT")], CLOCKS["en-US"]).encode()
    with pytest.raises(InvalidInput) as refused:
        records(text.replace(b"TEXT", data), tmp_path)
    assert refused.value.code == code


@pytest.mark.parametrize("lines", [400, 40_000], ids=["longer than people write", "longer than is kept"])
def test_a_message_without_end_is_dropped(lines: int, tmp_path: Path) -> None:
    text = "\n".join(["x" * 100] * lines)
    chat = [(NEW_YEAR, "alice", "hi"), (NEW_YEAR, "bob", text), (NEW_YEAR, "alice", "what?")]
    read = records(exported(chat, CLOCKS["en-US"]), tmp_path)
    assert kept(read) == [chat[0], chat[2]]
    assert reasons(read) == ["too long"]


def test_lines_that_look_like_blocks_do_not_take_forever(tmp_path: Path) -> None:
    text = "\n\n".join(["start", *["{Attachments}\nx", "{Forwarded Message}"] * 20_000, "end"])
    assert len(records(exported([(NEW_YEAR, "alice", text)], CLOCKS["en-US"]), tmp_path)) == 1


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], []),
        ([5], [True]),
        ([1, 2, 9, 3, 4], [True, True, False, True, True]),
        ([10, 11, 2, 3, 4, 12, 13], [True, True, False, False, False, True, True]),
        ([9, 8, 20, 7, 6], [True, True, False, True, True]),
        ([1, 1.5, 0.6, 1.7, 2], [True] * 5),
        ([1, float("nan"), 2], [True, False, True]),
    ],
)
def test_a_quote_of_another_day_is_no_header(hours: list[float], expected: list[bool]) -> None:
    assert in_order([hour * 3600 for hour in hours]) == expected


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        (f"{RULE}\r\nGuild: a\r\nChannel: b\r\n", True),
        (f"{RULE}\nGuild: a\nChannel: b", True),
        ("[24.12.2024 13:05] alice\nhi", False),
        (f"{RULE}\nsomething", False),
        ("", False),
    ],
)
def test_a_file_is_told_by_its_preamble(head: str, fits: bool) -> None:
    assert DISCORD_TXT.fits(head) is fits
