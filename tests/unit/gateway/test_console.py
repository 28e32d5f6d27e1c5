"""The console: whatever is typed or goes wrong is told, and the next line has its turn."""

import asyncio
import io
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from chorus.common.contracts.datasets import Histogram, Piece
from chorus.common.contracts.generation import Delta, End, Usage, Waiting
from chorus.common.errors import ChorusError, InvalidInput, TooLarge, Unavailable
from chorus.gateway.commands import curve
from chorus.gateway.commands.context import Trust
from chorus.gateway.commands.histogram import picture
from chorus.gateway.commands.replies import (
    Audio,
    Card,
    File,
    Moment,
    Problem,
    Progress,
    Reply,
    Samples,
    Stream,
    Text,
)
from chorus.gateway.frontends.console.answers import message_id
from chorus.gateway.frontends.console.files import LocalFiles, save
from chorus.gateway.frontends.console.lines import scripted
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import converse
from tests.unit.gateway.fake_data import FakeDownload
from tests.unit.gateway.fakes import World

NOWHERE = ["~nouser/x", "~nouser", "a\0b", "~a\0b/x", "half of an emoji \ud83d.ogg"]


@pytest.mark.parametrize("name", NOWHERE)
async def test_a_file_that_can_be_nowhere(name: str) -> None:
    for attempt in (LocalFiles(1024).read(name), save(name, b"sound")):
        with pytest.raises(ChorusError) as error:
            await attempt
        assert error.value.code == "file_not_found"
        assert error.value.message == f"There can be no file {name!r}."


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="is not a file"):
        await LocalFiles(100).read(str(tmp_path / "pipe"))


async def test_a_home_that_is_there_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await save("~/said.ogg", b"sound") == tmp_path / "said.ogg"
    upload = await LocalFiles(1024).read("~/said.ogg")
    assert (upload.name, upload.size) == ("said.ogg", 5)
    assert upload.data == tmp_path / "said.ogg", "a large file is not read into memory"


async def test_a_file_that_is_too_large_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(9 * 1024**3)  # without its blocks
    with pytest.raises(TooLarge, match=r"huge\.json has 9216\.0 MiB; at most 8192 MiB are taken"):
        await LocalFiles(8 * 1024**3).read(str(path))


async def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidInput, match="cannot be read: permission denied"):
        await LocalFiles(1024).read(str(tmp_path / "secret"))


async def breaks() -> AsyncIterator[Delta | End]:
    yield Delta(i=0, text="Hel")
    raise RuntimeError("secret insides")


@pytest.mark.parametrize(
    ("reply", "told"),
    [(Stream(breaks()), "[internal_error]"), (Audio("~nouser/x.ogg", b"", 1.0), "[file_not_found]")],
)
async def test_what_fails_while_it_is_shown_is_told(reply: Stream | Audio, told: str) -> None:
    screen = io.StringIO()
    renderer = Renderer(Console(file=screen, width=200))
    assert not await renderer.show(reply)
    assert told in screen.getvalue()
    assert "secret" not in screen.getvalue()
    assert await renderer.show(Text("on it goes")), "the console lives"


def typed(monkeypatch: pytest.MonkeyPatch, script: bytes) -> None:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - read by a thread, after we return
    file.write(script)
    file.seek(0)
    monkeypatch.setattr(sys, "stdin", file)


async def lines_of(monkeypatch: pytest.MonkeyPatch, script: bytes) -> list[str | Problem]:
    typed(monkeypatch, script)
    return [line async for line in scripted()]


async def test_a_script_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "\ufeff# a comment\n\n!help\r\n  née?  \nlast"
    assert await lines_of(monkeypatch, script.encode()) == ["!help", "née?", "last"]


async def test_a_line_that_is_no_text_is_refused_and_the_next_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, refused, last = await lines_of(monkeypatch, b"hi\n# caf\xe9\nn\xe9e?\nbye\n")
    assert (first, last) == ("hi", "bye")
    assert refused == Problem("not_utf8", "Line 3 is not UTF-8 text (byte 0xe9). Save the script as UTF-8.")


async def test_a_line_may_be_long(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "ask " * 1_000_000
    assert await lines_of(monkeypatch, f"{long}\nbye\n".encode()) == [long.strip(), "bye"]


async def test_an_input_that_breaks_is_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.open("/", os.O_RDONLY)  # can be opened, and never read
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: folder))
    assert [line async for line in scripted()] == []
    os.close(folder)


async def test_an_answer_can_be_judged_when_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b'hi\n!feedback down\n!correct "Ahoy."\n')
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    world, before = World(), message_id()
    assert await converse(world.chorus, Trust(via="console"), max_upload=1024, history=Path("none")) == 0
    (one,) = await world.replies.opinions("local")
    assert (one.message, one.vote, one.correction) == (before, "down", "Ahoy.")
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.002)
    assert (len(message_id()), message_id() > before) == (8, True), "later ones sort behind"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (b"hi\n!help\n", 0),
        (b"hi\n!nothing\n!help\n", 1),
        (b"n\xe9e?\nhi\n", 1),
        (b"!say hi to=~nouser/x\n!help\n", 1),
        (b"!train words\n!help\n", 0),
        (b"!train file=none.json\n!help\n", 1),
    ],
)
async def test_a_script_has_worked_if_every_command_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: bytes, code: int
) -> None:
    typed(monkeypatch, script)
    trust = Trust(via="console")
    assert await converse(World().chorus, trust, max_upload=1024, history=Path("none")) == code
    shown = capsys.readouterr().out
    assert ("✗" in shown) == bool(code)
    assert "Hello." in shown or "Commands" in shown, "what comes after it was answered"


async def shown(reply: Reply, *, terminal: bool = False) -> tuple[bool, str]:
    screen = io.StringIO()
    console = Console(
        file=screen, width=200, force_terminal=terminal, color_system="standard" if terminal else None
    )
    return await Renderer(console).show(reply), screen.getvalue()


async def written(
    *given: Waiting | Delta | ChorusError, **ended: object
) -> AsyncIterator[Waiting | Delta | End]:
    """These pieces, then an end, or an error."""
    for piece in given:
        if isinstance(piece, ChorusError):
            raise piece
        yield piece
    usage = Usage(prompt_tokens=1, completion_tokens=1)
    yield End.model_validate({"model": "m", "finish_reason": "stop", "usage": usage, **ended})


QUEUED = Waiting(code="queued", text="3 ahead of you")


async def test_while_one_waits_a_line_says_why_and_goes_away() -> None:
    pieces = (QUEUED, Waiting(code="queued", text="1 ahead of you"), Delta(i=0, text="Hello."))
    _, plain = await shown(Stream(written(*pieces)))
    assert plain == "3 ahead of you\nHello.\n", "where no line can go away, each reason is told once"
    _, moving = await shown(Stream(written(*pieces)), terminal=True)
    assert "1 ahead of you" in moving
    *_, last = moving.split("\x1b[2K")
    assert last.splitlines()[-1].endswith("Hello.")
    assert "ahead" not in last


async def test_who_waited_in_vain_is_told_when_to_ask_again() -> None:
    busy = Unavailable("Busy, 37 ahead.", code="busy", retry_after=4.2)
    assert await shown(Stream(written(QUEUED, busy))) == (
        False,
        "3 ahead of you\n✗ Busy, 37 ahead. Try again in 5 s. [busy]\n",
    )


async def test_several_answers_stand_below_their_titles() -> None:
    pieces = [Delta(i=i, text=text, choice=choice) for i, (text, choice) in enumerate([
        ("Ho", 1), ("Hel", 0), ("ho.", 1), ("lo.", 0),
    ])]  # fmt: skip
    worked, text = await shown(Stream(written(*pieces), ("main@1", "main@2")))
    assert worked
    assert text == "--- main@1 ---\nHello.\n--- main@2 ---\nHoho.\n"


async def test_what_did_not_fit_is_told_below_an_answer() -> None:
    ended = {"finish_reason": "length", "dropped_messages": 3, "dropped_examples": 1}
    _, text = await shown(Stream(written(Delta(i=0, text="Hm"), **ended)))
    assert text.splitlines() == [
        "Hm",
        "(1 example did not fit the model's memory.)",
        "(3 older messages did not fit the model's memory.)",
        "(Cut off: the answer reached its length limit.)",
    ]


async def moments(*given: Moment) -> AsyncIterator[Moment]:
    for moment in given:
        yield moment


@pytest.mark.parametrize(
    ("outcome", "worked", "last"),
    [
        (Text("✓ done"), True, "✓ done"),
        (Problem("broken", "It broke."), False, "✗ It broke. [broken]"),
    ],
)
async def test_an_import_and_a_job_are_told_as_lines(
    outcome: Text | Problem, worked: bool, last: str
) -> None:
    course = moments(
        Moment("reading", 1, 2, ("50%",)),
        Moment(note="Dataset club@1."),
        Moment("learning", 1, 4, ("step 1/4", "loss 2.000"), job="k7f3m2qxab"),
        Moment("learning", 2, 4, ("step 2/4",), job="k7f3m2qxab"),
        Moment(outcome=outcome),
    )
    assert await shown(Progress("", course)) == (
        worked,
        f"Dataset club@1.\n  learning  step 1/4  loss 2.000\n{last}\n",
    )


async def test_in_a_terminal_a_bar_moves() -> None:
    course = moments(Moment("reading", 1, 2, ("50%",)), Moment(note="Read [it]."), Moment(outcome=Text("✓")))
    worked, text = await shown(Progress("Begun.", course), terminal=True)
    assert worked
    assert "reading" in text
    assert "━" in text
    assert "Read [it]." in text


async def test_what_came_of_it_is_shown_below_its_outcome() -> None:
    drawn = curve.picture([5.0, 2.5, 0.1], "main-1")
    cards = (Card("Measured", ("", ""), [("base", "loss 5.31")], picture=drawn), Card("Replies", ("",), []))
    worked, text = await shown(Progress("", moments(Moment(outcome=Text("✓ done"), more=cards))))
    assert worked
    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "✓ done",
        "Measured",
        "base  loss 5.31",
        "▇▃▁  loss 5.00 → 0.10 over 3 steps",
        "Replies",
    ]


@pytest.mark.parametrize(("job", "left"), [("k7f3m2qxab", True), (None, False)])
async def test_who_stops_to_watch_a_job_is_told_how_to_end_it(job: str | None, left: bool) -> None:
    screen, watched = io.StringIO(), asyncio.Event()

    async def course() -> AsyncIterator[Moment]:
        yield Moment("learning", job=job)
        watched.set()
        await asyncio.Event().wait()

    show = Renderer(Console(file=screen, width=200)).show(Progress("", course()))
    task = asyncio.create_task(show)
    await watched.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert ("is not ended by that" in screen.getvalue()) is left
    assert ("!cancel k7f3m2qxab" in screen.getvalue()) is left


async def test_what_never_ends_has_not_worked() -> None:
    assert not (await shown(Progress("Begun.", moments(Moment("reading")))))[0]


async def test_samples_show_what_is_learned() -> None:
    sample = [Piece(text="<|user|>[b]hi\n", learned=False), Piece(text="ahoy", learned=True)]
    _, plain = await shown(Samples("club@1", [sample, sample], "Learned: «…»."))
    assert plain == (
        "club@1\n--- 1 ---\n<|user|>[b]hi\n«ahoy»\n--- 2 ---\n<|user|>[b]hi\n«ahoy»\nLearned: «…».\n"
    )
    _, coloured = await shown(Samples("club@1", [sample]), terminal=True)
    assert "\x1b[32m«ahoy»" in coloured


async def test_a_card_has_its_picture_as_signs() -> None:
    drawn = picture(Histogram(edges=[16, 32], counts=[1, 5]), "club")
    _, text = await shown(Card("club[1]", ("", ""), [("read", "[3]")], "More.", drawn))
    assert [line.strip() for line in text.splitlines()] == [
        "club[1]",
        "read  [3]",
        "▁▇  up to 16 … 32 tokens",
        "More.",
    ]


async def test_a_file_is_saved_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "club.zip"
    for data, worked in ((b"PK", True), (b"PK", True), (b"other", False)):
        ended, text = await shown(File(str(path), FakeDownload(data), "Here it is:"))
        assert ended is worked
        assert ("[file_exists]" in text) is not worked
        assert ("Here it is:" in text) is worked, "of what is not there nothing is told"
    assert path.read_bytes() == b"PK"
    assert not (await shown(File(str(tmp_path / "none" / "x"), FakeDownload(b"x"))))[0]
