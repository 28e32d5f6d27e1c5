"""The console: whatever is typed or goes wrong is told, and the next line has its turn."""

import io
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from chorus.common.contracts.generation import Delta, End
from chorus.common.errors import ChorusError, InvalidInput
from chorus.gateway.commands.replies import Audio, Problem, Stream, Text
from chorus.gateway.frontends.console.files import LocalFiles, save
from chorus.gateway.frontends.console.lines import scripted
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import converse
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
    assert (await LocalFiles(1024).read("~/said.ogg")).data == b"sound"


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


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (b"hi\n!help\n", 0),
        (b"hi\n!nothing\n!help\n", 1),
        (b"n\xe9e?\nhi\n", 1),
        (b"!say hi to=~nouser/x\n!help\n", 1),
    ],
)
async def test_a_script_has_worked_if_every_command_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: bytes, code: int
) -> None:
    typed(monkeypatch, script)
    assert await converse(World().chorus, max_upload=1024, history=Path("none")) == code
    shown = capsys.readouterr().out
    assert ("✗" in shown) == bool(code)
    assert "Hello." in shown or "Commands" in shown, "what comes after it was answered"
