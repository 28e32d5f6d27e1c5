"""The console in a real terminal: a prompt, a bar that moves, colours that arrive as colours."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chorus import RunningChorus

EXAMPLE = Path(__file__).parent.parent.parent / "examples/first-run.json"
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
