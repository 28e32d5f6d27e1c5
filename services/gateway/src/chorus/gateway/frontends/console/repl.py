"""The console's loop: read a line, run it to its end, show what comes of it, read the next."""

import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from chorus.common.contracts.guild import PREFIX
from chorus.common.contracts.names import LOCAL
from chorus.common.telemetry.logging import bind
from chorus.common.telemetry.tracing import span
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.replies import Problem
from chorus.gateway.commands.rows import COMMANDS
from chorus.gateway.commands.table import run
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.lines import scripted, typed
from chorus.gateway.frontends.console.render import Renderer

WELCOME = "Ask something, or type !help. Ctrl-D ends."


async def converse(
    chorus: Chorus, trust: Trust, *, max_upload: int, history: Path, session: Session | None = None
) -> int:
    """Run the console until its input ends; returns 0 if every command worked, else 1."""
    session, files = session or Session(), LocalFiles(max_upload)
    console = Console(soft_wrap=True)
    renderer = Renderer(console)
    failed = False
    async for line in _lines(console, history):
        ctx = here(chorus, trust, session, files)
        with bind(guild=ctx.guild, message=ctx.key), span("command", guild=ctx.guild, message=ctx.key):
            reply = line if isinstance(line, Problem) else await run(ctx, line)
            failed |= not await renderer.show(reply)
    return int(failed)


def here(chorus: Chorus, trust: Trust, session: Session, files: LocalFiles) -> Context:
    """A command of whoever sits at this machine."""
    return Context(
        chorus=chorus,
        guild=session.guild or LOCAL,
        user=LOCAL,
        session=session,
        forget_conversations=session.forget,
        files=files,
        key=uuid.uuid4().hex,
        admin=True,  # of their own machine
        trust=trust,
    )


def announce(text: str) -> None:
    """Say what nobody asked for; a prompt that is open stays below it."""
    # Without colours: an open prompt would print their codes.
    Console(soft_wrap=True, force_terminal=False).print(text, markup=False, highlight=False)


def _lines(console: Console, history: Path) -> AsyncIterator[str | Problem]:
    if not sys.stdin.isatty():
        return scripted()
    console.print(WELCOME, style="dim")
    return typed([f"{PREFIX}{name}" for name in COMMANDS], history)
