"""One command of the table, as it stands on a command line; shown as in the console."""

from collections.abc import Sequence

from rich.console import Console

from chorus.gateway.commands.context import Chorus, Context, Session, Trust
from chorus.gateway.commands.replies import Reply, Text
from chorus.gateway.commands.table import PREFIX, attempted, permitted, run
from chorus.gateway.frontends.cli.arguments import read
from chorus.gateway.frontends.cli.preprocess import PREPROCESS, USAGE, preprocess
from chorus.gateway.frontends.console.files import LocalFiles
from chorus.gateway.frontends.console.render import Renderer
from chorus.gateway.frontends.console.repl import here

HELP = ("--help", "-h")


async def run_once(chorus: Chorus, trust: Trust, words: Sequence[str], *, max_upload: int) -> int:
    """Run it to its end; returns 0 if it worked, else 1."""
    ctx = here(chorus, trust, Session(), LocalFiles(max_upload))
    reply = await attempted(_reply(ctx, words))
    return 0 if await Renderer(Console(soft_wrap=True)).show(reply) else 1


async def _reply(ctx: Context, words: Sequence[str]) -> Reply:
    name, *rest = words
    if name == PREPROCESS:
        return Text(USAGE) if set(HELP) & set(rest) else await preprocess(ctx, rest)
    if set(HELP) & set(rest):
        return await run(ctx, f"{PREFIX}help {name}")
    command = permitted(ctx, name.removeprefix(PREFIX))
    return await command.run(ctx, read(command, rest))
