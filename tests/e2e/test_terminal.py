"""Consoles beside a running Chorus. In a real terminal: a prompt, a bar that moves, colours as colours."""

import os
import pty
import select
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chorus import STOP_WITHIN, RunningChorus

EXAMPLE = Path(__file__).parent.parent.parent / "examples/first-run.json"
CHORUS = str(Path(sysconfig.get_path("scripts")) / "chorus")
WITHIN = 60.0  # seconds


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._keyboard, screen = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
            stdin=screen,
            stdout=screen,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(screen)

    def type(self, keys: str) -> None:
        os.write(self._keyboard, keys.encode())

    def until(self, words: str) -> str:
        """Everything shown since the last time, once `words` are among it."""
        give_up_at = time.monotonic() + WITHIN
        while words not in self.shown:
            assert time.monotonic() < give_up_at, self.shown
            if select.select([self._keyboard], [], [], 0.1)[0]:
                self.shown += os.read(self._keyboard, 65536).decode("utf-8", "replace")
        before, _, after = self.shown.partition(words)
        self.shown = after
        return before + words


@pytest.fixture
def terminal(chorus: RunningChorus, tmp_path: Path) -> Iterator[Terminal]:
    environment = chorus.environment("gateway")
    opened = Terminal([sys.executable, "-m", "chorus.gateway"], environment, tmp_path)
    yield opened
    if opened.process.poll() is None:
        opened.process.kill()
        opened.process.wait()


def test_an_evening_at_the_terminal(terminal: Terminal) -> None:
    terminal.until("chorus>")
    terminal.type(f"!train file={EXAMPLE}\r")
    training = terminal.until("is trained")
    assert "━" in training, "there is a bar"
    assert "tokens/s" in training
    assert "left" in training
    assert "?[" not in training, "escape sequences reach the terminal as they are"
    terminal.until("chorus>")
    terminal.type("Where do I park?\r")
    assert "Behind the chandlery." in terminal.until("trailers.")
    terminal.until("chorus>")
    terminal.type("\x04")
    assert terminal.process.wait(20) == 0


def test_ctrl_c_at_the_prompt_ends_it(terminal: Terminal) -> None:
    terminal.until("chorus>")
    terminal.type("\x03")
    assert terminal.process.wait(20) == 0


def test_a_second_console_joins_what_runs(chorus: RunningChorus) -> None:
    joined = subprocess.run(
        [CHORUS, "console"],
        input="!models\nhello\n",
        env={**os.environ, "CHORUS_DATA": str(chorus.folder), "CHORUS_DISCORD_TOKEN": "not.for.this.one"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert joined.returncode == 0, joined.stderr
    assert "chorus> hello" in joined.stdout


def test_a_console_that_is_stopped_while_it_waits_for_a_line_ends_cleanly(
    chorus: RunningChorus, tmp_path: Path
) -> None:
    with (tmp_path / "told").open("w+") as told:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "chorus.gateway"],
            env={**os.environ, **chorus.environment("gateway")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=told,
        )
        give_up_at = time.monotonic() + STOP_WITHIN
        while '"ready"' not in (tmp_path / "told").read_text():
            assert waiting.poll() is None
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(STOP_WITHIN) == 0
        assert "Fatal" not in (tmp_path / "told").read_text()
        assert waiting.stdin is not None
        waiting.stdin.close()
