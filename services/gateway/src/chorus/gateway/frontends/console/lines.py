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


async def scripted() -> AsyncIterator[str]:
    """Lines from standard input, each echoed; empty lines and `#` comments are passed over."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    # A daemon: an open pipe without an end must not keep the process from ending.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    while line := await lines.get():
        text = line.strip()
        if text and not text.startswith("#"):
            print(f"{PROMPT}{text}", flush=True)
            yield text
