"""From a line, or a form, to a reply: the table of commands, as front-ends use it.

A line is a command after the guild's own prefix, and, for names of our commands, after `!` too: buttons say
it, and so do people who know it from elsewhere. All else is said to the model. What a guild has chosen is
read once for each, and whoever asks has the rights that it grants them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from chorus.common.contracts.guild import PREFIX
from chorus.common.errors import ChorusError
from chorus.gateway.commands.chat import Say, say
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.counting import TALK, UNKNOWN, measured
from chorus.gateway.commands.parsing import Parameters, bind, filled_in
from chorus.gateway.commands.replies import Problem, Reply, problem
from chorus.gateway.commands.rights import require, settings_of
from chorus.gateway.commands.rows import COMMANDS, find, known, nearest
from chorus.gateway.commands.wording import reworded

OUR_FAULT = Problem("internal_error", "Something went wrong on our side. The log has the details.")

_OURS = re.compile(
    rf"(?<!\w)'[^'\n]*'(?!\w)|(?<![\w{PREFIX}]){PREFIX}(?=(?:{'|'.join(COMMANDS)})\b)"
)  # or what is quoted, which stays as it is

log = structlog.get_logger()


async def run(ctx: Context, line: str) -> Reply:
    """Run one line as a person wrote it. Whatever is wrong comes back as a `Problem`."""
    return await attempted(_in_this_guild(ctx, lambda ctx: _run(ctx, line)))


async def run_filled_in(ctx: Context, name: str, values: Mapping[str, Any], options: str = "") -> Reply:
    """Run a command whose parameters were filled in one by one; `options` has more of them as text."""

    async def reply(ctx: Context) -> Reply:
        return await _called_by(ctx, name, lambda found: filled_in(found.parameters, values, options))

    return await attempted(_in_this_guild(ctx, reply))


async def _run(ctx: Context, line: str) -> Reply:
    called = _called(line, (await settings_of(ctx)).prefix)
    if called is None:
        return await measured(ctx.chorus.metrics, TALK, _talk(ctx, line))
    name, argument = called
    return await _called_by(ctx, name, lambda found: bind(found.parameters, found.text_field, argument))


async def _talk(ctx: Context, line: str) -> Reply:
    await require(ctx, "chat", "Talking to me")
    return await say(ctx, Say(text=line))


async def _called_by(ctx: Context, name: str, parameters: Callable[[Command], Parameters]) -> Reply:
    """What comes of the command with this name, counted, whatever is wrong with it."""

    async def reply() -> Reply:
        command = await permitted(ctx, name)
        return await command.run(ctx, parameters(command))

    command = known(name)
    return await measured(ctx.chorus.metrics, command.name if command else UNKNOWN, reply())


async def _in_this_guild(ctx: Context, work: Callable[[Context], Awaitable[Reply]]) -> Reply:
    """What comes of it with what the guild has chosen, in words that call commands as people do there."""
    chosen = await settings_of(ctx)
    reply = await attempted(work(replace(ctx, settings=chosen)))
    if chosen.prefix == PREFIX:
        return reply
    return reworded(reply, lambda text: prefixed(text, chosen.prefix))


async def attempted(work: Awaitable[Reply]) -> Reply:
    """What comes of it; what goes wrong, as a `Problem`."""
    try:
        return await work
    except ChorusError as error:
        return problem(error)
    except Exception:
        log.exception("command failed")
        return OUR_FAULT


async def permitted(ctx: Context, name: str) -> Command:
    """The command with this name, if the person may use it. Raises `NotFound`, `NotPermitted`."""
    command = known(name)
    if command is None:
        await require(ctx, "chat", f"!{name.lower()}")
        return find(name)
    await require(ctx, command.right, f"!{command.name}", here=command.here)
    return command


def _called(line: str, prefix: str) -> tuple[str, str] | None:
    """The command's name and what follows it, if a line is one."""
    if not line.startswith(prefix):
        prefix = PREFIX
        if nearest(command_name(line)) is None:
            return None
    name = command_name(line, prefix)
    return name, line[len(prefix) + len(name) :]


def command_name(line: str, prefix: str = PREFIX) -> str:
    """The word after the prefix, up to the first space or line break."""
    words = re.match(rf"{re.escape(prefix)}(\S*)", line)
    return words[1] if words else ""


def prefixed(text: str, prefix: str) -> str:
    """A text with our commands as they are called where another prefix was chosen: `?train` for `!train`."""
    return _OURS.sub(lambda found: prefix if found[0] == PREFIX else found[0], text)
