"""One command of the table, as it stands on a command line; shown as in the console."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.help import in_full
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.table import PREFIX, attempted, permitted
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.models import of_models
from chorus.gateway.frontends.cli.preprocess import PREPROCESS, USAGE, preprocess
from chorus.gateway.frontends.cli.training import TRAIN
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import converse, here

HELP = ("--help", "-h")


async def run_once(
    chorus: Chorus, trust: Trust, words: Sequence[str], *, max_upload: int, history: Path
) -> int:
    """Run it to its end, and the conversation that it may begin; returns 0 if it worked, else 1."""
    session = Session()
    ctx = here(chorus, trust, session, LocalFiles(max_upload))
    reply = await attempted(_reply(ctx, words))
    if not await Renderer(Console(soft_wrap=True)).show(reply):
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
        command = _command(ctx, name.removeprefix(PREFIX))
    if set(HELP) & set(rest):
        return Text(in_full(command))
    return await command.run(ctx, read(command, rest))


def _command(ctx: Context, name: str) -> Command:
    """The command of the table, or what a shell has in its place."""
    command = permitted(ctx, name)
    return TRAIN if command.name == TRAIN.name else command
