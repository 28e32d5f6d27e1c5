"""One command of the table, as it stands on a command line; shown as in the console.

answer=$(chorus ask "When do you open?")         into a pipe goes the answer, and nothing else
chorus ask - < question.txt                      `-` is the text that comes in on standard input
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console

from chorus.common.contracts.generation import Delta
from chorus.common.contracts.guild import PREFIX
from chorus.common.telemetry.logging import bind
from chorus.common.telemetry.tracing import span
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.help import in_full
from chorus.gateway.commands.replies import Reply, Stream, Text
from chorus.gateway.commands.table import attempted, permitted
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.forge import FORGE
from chorus.gateway.frontends.cli.models import of_models
from chorus.gateway.frontends.cli.play import PLAY
from chorus.gateway.frontends.cli.preprocess import PREPROCESS, USAGE, preprocess
from chorus.gateway.frontends.cli.training import TRAIN
from chorus.gateway.frontends.console.answers import message_id
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import converse, here

HELP = ("--help", "-h")
PIPED = "-"


async def run_once(
    chorus: Chorus, trust: Trust, words: Sequence[str], *, max_upload: int, history: Path
) -> int:
    """Run it to its end, and the conversation that it may begin; returns 0 if it worked, else 1."""
    session = Session()
    ctx = here(chorus, trust, session, LocalFiles(max_upload))
    with bind(guild=ctx.guild, message=ctx.key), span("command", guild=ctx.guild, message=ctx.key):
        reply = await attempted(_reply(ctx, words))
        console = Console(soft_wrap=True)
        if isinstance(reply, Stream) and not console.is_terminal:
            reply = Stream(_words_alone(reply), reply.titles)
        if not await Renderer(console).show(reply):
            return 1
    if session.model is None:
        return 0
    return await converse(chorus, trust, max_upload=max_upload, history=history, session=session)


async def _reply(ctx: Context, words: Sequence[str]) -> Reply:
    name, *rest = words
    if name == PREPROCESS:
        return Text(USAGE) if set(HELP) & set(rest) else await preprocess(ctx, rest)
    if (command := of_models(words)) is not None:
        rest = rest[1:]
    else:
        command = await _command(ctx, name.removeprefix(PREFIX))
    if set(HELP) & set(rest):
        return Text(in_full(command))
    if PIPED in rest:
        rest = await _with_what_is_piped(rest)
    return await command.run(ctx, read(command, rest))


async def _with_what_is_piped(words: list[str]) -> list[str]:
    """The words, with standard input in the place of `-`: it is text, whatever stands in it."""

    def read_all() -> bytes:
        with open(sys.stdin.fileno(), "rb", closefd=False) as piped:
            return piped.read()

    text = (await asyncio.to_thread(read_all)).decode("utf-8-sig", "replace")
    return [*(word for word in words if word != PIPED), "--", text.strip()]


async def _words_alone(stream: Stream) -> AsyncIterator[Delta]:
    """The answer, without what people are told of it: a script would take that for a part of it."""
    async for piece in stream.pieces:
        if isinstance(piece, Delta):
            yield piece
    if stream.kept:
        await stream.kept(message_id())


async def _command(ctx: Context, name: str) -> Command:
    """The command of the table, or what a shell has in its place or beside it."""
    for command in (PLAY, FORGE):
        if name == command.name:
            return command
    command = await permitted(ctx, name)
    return TRAIN if command.name == TRAIN.name else command
