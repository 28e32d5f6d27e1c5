"""Where the console's lines come from: a person at a prompt, or a script on standard input."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory
from prompt_toolkit.patch_stdout import patch_stdout

from chorus.gateway.commands.replies import Problem

PROMPT = "chorus> "


async def typed(words: list[str], history: Path) -> AsyncIterator[str]:
    """Lines from a person, with history and completion, until Ctrl-D or Ctrl-C."""
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        completer=WordCompleter(words, sentence=True),
        complete_while_typing=False,
    )
    while True:
        try:
            with patch_stdout():
                line = await session.prompt_async(PROMPT)
        except (EOFError, KeyboardInterrupt):
            return
        if text := line.strip():
            yield text  # outside of the patch: it would eat the colours of what is shown for this line


async def scripted() -> AsyncIterator[str | Problem]:
    """Lines from standard input, each echoed; empty lines and `#` comments are passed over.

    A line that is no text is a problem like any other: it is told, and the script goes on.
    """
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            # Not `sys.stdin` itself: Python aborts when it ends while a thread waits for a line of that.
            with open(sys.stdin.fileno(), "rb", closefd=False) as script:
                for line in script:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
        finally:  # without an end the console would wait for ever
            loop.call_soon_threadsafe(lines.put_nowait, b"")

    # A daemon: an open pipe without an end must not keep the process from ending.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    number = 0
    while line := await lines.get():
        number += 1
        text = line.decode("utf-8-sig", "replace").strip()
        if text and not text.startswith("#"):
            print(f"{PROMPT}{text}", flush=True)
            yield _not_utf8(number, line) or text


def _not_utf8(number: int, line: bytes) -> Problem | None:
    """What is wrong with a line's bytes, if anything is."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        byte = line[error.start]
        return Problem(
            "not_utf8", f"Line {number} is not UTF-8 text (byte 0x{byte:02x}). Save the script as UTF-8."
        )
    return None
