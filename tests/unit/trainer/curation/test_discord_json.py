"""DiscordChatExporter's JSON: every message is kept or dropped with a reason, whatever befell the file."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chorus.common.contracts.datasets import BuildOptions
from chorus.common.errors import InvalidInput
from chorus.trainer.curation.readers import discord_json
from chorus.trainer.curation.readers.discord_export import LONGEST_TEXT
from chorus.trainer.curation.readers.discord_json import DISCORD_JSON
from chorus.trainer.curation.records import Dropped, Message, Record
from chorus.trainer.curation.source import Source

GOLDEN = Path("tests/fixtures/discord_chat_exporter/general.json")
ALICE, BOB, HELPER, OLD = (f"20000000000000000{n}" for n in (1, 2, 9, 5))

Export = dict[str, Any]
Layout = Callable[[Export], str]

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def indented(export: Export) -> str:
    return json.dumps(export, ensure_ascii=False, indent=2)


LAYOUTS: dict[str, Layout] = {
    "as exported": indented,
    "on Windows": lambda export: indented(export).replace("\n", "\r\n"),
    "with tabs": lambda export: json.dumps(export, indent="\t"),
    "on one line": lambda export: json.dumps(export, separators=(",", ":")),
    "not indented": lambda export: "\n".join(line.strip() for line in indented(export).split("\n")),
    "byte order mark": lambda export: "\ufeff" + indented(export),
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def layout(request: pytest.FixtureRequest) -> Layout:
    return request.param


@pytest.fixture(params=[70, 256 * 1024], ids=["small pieces", "usual pieces"])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that every message has several."""
    monkeypatch.setattr(discord_json, "HEAD", 300)  # bytes; the first message begins in them
    monkeypatch.setattr(discord_json, "PIECE", request.param)


def records(data: str | bytes, folder: Path) -> list[Record]:
    path = folder / "export.json"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    source = Source("export.json", path)
    assert DISCORD_JSON.fits(source.head())
    return list(DISCORD_JSON.read(source, BuildOptions()))


def golden() -> Export:
    return json.loads(GOLDEN.read_text())


def message(number: int, text: str = "hello", **more: Any) -> Export:
    return {
        "id": str(number),
        "type": "Default",
        "timestamp": f"2026-01-05T10:{number // 60 % 60:02}:{number % 60:02}+00:00",
        "content": text,
        "author": {"id": ALICE, "name": "alice", "isBot": False},
    } | more


def export_of(*messages: object) -> Export:
    return {"guild": {"id": "1"}, "channel": {"id": "10"}, "messages": list(messages), "messageCount": 0}


def texts(read: list[Record]) -> list[str]:
    return [record.text for record in read if isinstance(record, Message)]


def reasons(read: list[Record]) -> list[str]:
    return [record.reason for record in read if isinstance(record, Dropped)]


def test_every_message_of_an_export_is_read_as_it_is(layout: Layout, tmp_path: Path) -> None:
    def of(author: str, name: str, text: str, at: float, number: int, **more: Any) -> Message:
        return Message(
            channel="100000000000000010",
            author=author,
            author_name=name,
            text=text,
            at=at,
            id=f"100000000000000{number}",
            source="export.json",
            account={ALICE: "alice", BOB: "bob", HELPER: "helper", OLD: "old.timer"}[author],
            **more,
        )

    first = f"anyone up for :pog: tonight, <@200000000000000003> and <@{BOB}>? @everyone"
    last = f'hey <@{BOB}>, "messages": [\n    }}\nשלום 👩‍👩‍👧 é'
    ten = 1767607200.0  # 2026-01-05 10:00 UTC
    assert records(layout(golden()), tmp_path) == [
        of(
            ALICE,
            "Alice A.",
            first,
            ten + 0.123,
            100,
            edited_at=ten + 40,
            attachments=("voice-message.ogg",),
        ),
        of(BOB, "Bob", "sure, 9pm", ten + 60.123457, 101, reply_to="100000000000000100"),
        Dropped("system notice"),
        Dropped("system notice"),
        Dropped("system notice"),
        of(HELPER, "Helper", "It is sunny.", ten + 300, 105, is_bot=True),
        Dropped("forwarded message"),
        Dropped("no text"),
        Dropped("no text"),
        of(BOB, "Bob", "https://x.example/z", ten + 540, 109),
        Dropped("system notice"),
        of(BOB, "Bob", "Joined the server.", ten + 960, 111),
        of(OLD, "old.timer", last, ten + 1020, 112),
    ]


def test_the_fixture_is_laid_out_as_the_exporter_does() -> None:
    assert GOLDEN.read_text() == indented(golden())


@in_one_folder
@given(cut=st.integers(min_value=0, max_value=len(GOLDEN.read_bytes()) - 1))
def test_a_file_that_is_cut_off_keeps_all_whole_messages(cut: int, tmp_path: Path) -> None:
    data = GOLDEN.read_bytes()
    start = data.index(b'"messages": [\n')
    whole = data[start:cut].count(b"\n    }")
    full = records(data, tmp_path)
    path = tmp_path / "cut.json"
    path.write_bytes(data[:cut])
    read = list(DISCORD_JSON.read(Source("export.json", path), BuildOptions()))
    assert read[:-1] == full[:whole]
    assert reasons(read[-1:]) == ["cut off"]


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.97, 0.9999])
def test_so_does_one_without_line_breaks(share: float, tmp_path: Path) -> None:
    data = LAYOUTS["on one line"](golden()).encode()
    full, read = records(data, tmp_path), records(data[: int(len(data) * share)], tmp_path)
    assert 0 < len(read) - 1 <= len(full)
    assert read[:-1] == full[: len(read) - 1]
    assert reasons(read[-1:]) == ["cut off"]


@in_one_folder
@given(
    said=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=6),
    name=st.sampled_from(sorted(LAYOUTS)),
)
def test_every_text_comes_through(said: list[str], name: str, tmp_path: Path) -> None:
    export = export_of(*(message(number, text) for number, text in enumerate(said)))
    read = records(LAYOUTS[name](export), tmp_path)
    assert texts(read) == [text for text in said if text.strip()]
    assert len(read) == len(said)


@in_one_folder
@given(
    strange=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*message(0), "mentions"]), inner),
        max_leaves=8,
    ),
    name=st.sampled_from(sorted(LAYOUTS)),
)
def test_a_message_of_any_shape_is_one_record(strange: object, name: str, tmp_path: Path) -> None:
    shape = {**message(2), **strange} if isinstance(strange, dict) else strange
    try:
        data = LAYOUTS[name](export_of(message(1), shape, message(3))).encode()
    except UnicodeEncodeError:
        return  # half a character cannot be written as it is
    read = records(data, tmp_path)
    assert len(read) == 3
    assert (texts(read[:1]), texts(read[2:])) == (["hello"], ["hello"])


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"id": "2"}, "missing required field `author`"),
        (message(2, timestamp="yesterday"), "timestamp"),
        (message(2, author={"id": ""}), "author.id"),
        (message(2, content=5), "content"),
        (17, "Expected `object`"),
    ],
)
def test_a_broken_message_costs_no_other(broken: object, says: str, layout: Layout, tmp_path: Path) -> None:
    read = records(layout(export_of(message(1), broken, message(3))), tmp_path)
    assert (texts(read), reasons(read)) == (["hello", "hello"], ["broken message"])
    (dropped,) = (record for record in read if isinstance(record, Dropped))
    assert dropped.mend.startswith("export.json, message 2: ")
    assert says in dropped.mend


def test_an_export_may_be_longer_than_a_piece(layout: Layout, piece: None, tmp_path: Path) -> None:
    said = [f"{number} né {'x' * (number * 37 % 900)}" for number in range(200)]
    read = records(layout(export_of(*(message(n, text) for n, text in enumerate(said)))), tmp_path)
    assert texts(read) == said
    assert len(read) == len(said)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"message 2"', b'"message 2'),
        (b'"message 2"', b'"two\nlines"'),
        (b'"message 2"', b"[" * 100_000),
    ],
    ids=["quotation mark", "line end", "100,000 brackets"],
)
def test_damage_stays_where_it_is(old: bytes, new: bytes, tmp_path: Path) -> None:
    data = indented(export_of(*(message(n, f"message {n}") for n in range(5)))).encode()
    read = records(data.replace(old, new), tmp_path)
    assert texts(read) == ["message 0", "message 1", "message 3", "message 4"]
    assert reasons(read) == ["broken message"]


def test_a_nul_byte_costs_no_other_message(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_bytes(
        indented(export_of(message(1), message(2, "NUL"), message(3))).encode().replace(b"NUL", b"\0")
    )
    read = list(DISCORD_JSON.read(Source("export.json", path), BuildOptions()))
    assert (texts(read), reasons(read)) == (["hello", "hello"], ["broken message"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\xff", "half a character"),
        (b"\xed\xa0\x80", "half a character"),
        (b"\\ud83d", "half a character"),
        (b"\\udc00\\ud83d", "half a character"),
        (b"a \\u0000 sign", "not text"),
        (b" \\n\\t", "no text"),
        (b"x" * (LONGEST_TEXT + 1), "too long"),
        (b"x" * 10_000_000, "too long"),
    ],
    ids=["byte", "surrogate", "half", "wrong way round", "NUL", "blank", "too long", "ten million"],
)
@pytest.mark.parametrize("name", ["as exported", "on one line"])
def test_what_is_no_text_is_dropped(text: bytes, reason: str, name: str, tmp_path: Path) -> None:
    data = LAYOUTS[name](export_of(message(1), message(2, "TEXT"), message(3))).encode()
    read = records(data.replace(b"TEXT", text), tmp_path)
    assert (texts(read), reasons(read)) == (["hello", "hello"], [reason])


@pytest.mark.parametrize("escaped", [r"\ud83d\ude00", r"\uD83D\uDE00", "😀"])
def test_an_emoji_may_be_escaped(escaped: str, layout: Layout, tmp_path: Path) -> None:
    data = layout(export_of(message(1, "EMOJI"))).replace("EMOJI", escaped)
    assert texts(records(data, tmp_path)) == ["😀"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [(b'"x": ' + b"[" * 100_000, "nested too deep"), (b'"id": x', "invalid"), (b'"id" "2"', "expected ':'")],
    ids=["brackets", "no value", "no colon"],
)
def test_without_line_breaks_damage_ends_the_reading(damage: bytes, says: str, tmp_path: Path) -> None:
    data = LAYOUTS["on one line"](export_of(message(1), {"DAMAGE": 1}, message(3))).encode()
    with pytest.raises(InvalidInput, match=says) as refused:
        records(data.replace(b'"DAMAGE":1', damage), tmp_path)
    assert refused.value.code == "broken_json"
    assert "message 2" in refused.value.message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"guild": {}, "channel": {}}', "wrong_shape"),
        (b'{"guild": {}, "channel": {}, "messages": 5}', "wrong_shape"),
        (b'{"guild": {}, "channel": {} "messages"}', "broken_json"),
        (b'{"guild": {}, "channel": {}, "x": ' + b"[" * 100_000, "broken_json"),
        ('{"guild": {}, "channel": {}, "messages": []}'.encode("utf-16"), "wrong_encoding"),
    ],
    ids=["no messages", "no list", "no JSON", "brackets", "UTF-16"],
)
def test_what_is_no_export_is_refused(data: bytes, code: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        records(data, tmp_path)
    assert refused.value.code == code


def test_a_message_without_end_is_refused(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord_json, "LONGEST_MESSAGE", 1024 * 1024)
    with pytest.raises(InvalidInput, match="in message 1"):
        records(layout(export_of(message(1, "x" * 3 * 1024 * 1024))), tmp_path)


def test_an_export_without_messages_is_no_error(layout: Layout, tmp_path: Path) -> None:
    assert records(layout(export_of()), tmp_path) == []


def test_a_long_export_is_never_whole_in_memory(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(layout(export_of(*(message(n, "x" * 700) for n in range(6000)))))
    source = Source("export.json", path)
    assert source.size > 4 * 1024**2
    tracemalloc.start()
    try:
        count = sum(1 for _ in DISCORD_JSON.read(source, BuildOptions()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 6000
    assert peak < 3 * 1024**2


def person(number: str, name: str, nickname: str | None = None) -> Export:
    return {"id": number, "name": name, "nickname": nickname}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@Bob @Bobby", "<@1> <@2>"),
        ("@Bobby's, (@Bob)", "<@2>'s, (<@1>)"),
        ("@Bobs @Bob_ @Bob2", "@Bobs @Bob_ @Bob2"),
        ("@太郎さん", "<@3>さん"),
        ("@an @ other", "<@4>"),
        ("@b.ob", "<@1>"),
        ("<@1> and <@99>", "<@1> and <@99>"),
        ("@everyone @ @@Bob@Bob", "@everyone @ @<@1><@1>"),
        ("mail bob@example.org", "mail bob@example.org"),
    ],
)
def test_names_of_those_mentioned_become_ids(text: str, expected: str, tmp_path: Path) -> None:
    mentions = [
        person("1", "b.ob", "Bob"),
        person("2", "Bobby"),
        person("3", "taro", "太郎"),
        person("4", "x", "an @ other"),
    ]
    assert texts(records(indented(export_of(message(1, text, mentions=mentions))), tmp_path)) == [expected]


def test_a_file_without_a_channel_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(indented(export_of(message(1)) | {"channel": {}}))
    by_name = Source("a.zip/Guild - general [100000000000000010] [part 2].json", path)
    (read,) = DISCORD_JSON.read(by_name, BuildOptions())
    assert isinstance(read, Message)
    assert read.channel == "100000000000000010"


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        ('{"guild":{"id":"1"},"channel":{"id":"2"', True),
        ('\n {\n\t"channel" : {}, "guild"\n: {}', True),
        ('{"messages": [{"role": "user"}]}', False),
        ('{"guild": "1", "channel": {}}', False),
        ('[{"guild": {}, "channel": {}}]', False),
        (r'{"text": "{\"guild\": {}, \"channel\": {}}"}', False),
    ],
)
def test_a_file_is_told_by_its_guild_and_channel(head: str, fits: bool) -> None:
    assert DISCORD_JSON.fits(head) is fits
