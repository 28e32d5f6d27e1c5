"""All commands, by name. Front-ends and help read this table; to add a command, add a line."""

import difflib
import re

import structlog

from chorus.common.errors import ChorusError, NotFound, NotPermitted
from chorus.gateway.commands.chat import Ask, ask, say
from chorus.gateway.commands.command import Command
from chorus.gateway.commands.context import Context
from chorus.gateway.commands.help import Help, explained, overview
from chorus.gateway.commands.jobs import NoParameters, OneJob, cancel, job, jobs
from chorus.gateway.commands.models import Use, models, use
from chorus.gateway.commands.parsing import bind
from chorus.gateway.commands.replies import Problem, Reply, Text
from chorus.gateway.commands.speech import Say, Transcribe, speak, transcribe
from chorus.gateway.commands.training import Train, train

PREFIX = "!"
OUR_FAULT = Problem("internal_error", "Something went wrong on our side. The log has the details.")

log = structlog.get_logger()


async def show_help(_: Context, asked: Help) -> Reply:
    """Explain one command, or list them all."""
    if asked.command is None:
        return overview(COMMANDS.values())
    return Text(explained(find(asked.command.lstrip(PREFIX))))


COMMANDS = {
    command.name: command
    for command in (
        Command(
            "train", train, Train, "text", '!train "words" | file=PATH', "teach the model something new",
            ("!train file=examples/first-run.json", '!train "We meet on Fridays at eight." model=club'),
            admin=True,
        ),
        Command("job", job, OneJob, "job", "!job ID", "see how far a training is", ("!job k7f3m2qxab",)),
        Command("jobs", jobs, NoParameters, None, "!jobs", "list all trainings"),
        Command(
            "cancel", cancel, OneJob, "job", "!cancel ID", "stop a training", ("!cancel k7f3m2qxab",),
            admin=True,
        ),
        Command(
            "ask", ask, Ask, "question", "!ask QUESTION", "ask one question, apart from the conversation",
            ("!ask When do you open?",),
        ),
        Command("models", models, NoParameters, None, "!models", "list the models you have trained"),
        Command(
            "use", use, Use, "model", "!use MODEL", "choose the model that answers",
            ("!use main@1", "!use main@previous", "!use base"),
            admin=True,
        ),
        Command(
            "say", speak, Say, "text", "!say TEXT", "hear a text spoken",
            ("!say We sail at dawn.", "!say Guten Morgen! language=de to=morning.ogg"),
        ),
        Command(
            "transcribe", transcribe, Transcribe, "text", "!transcribe file=PATH",
            "read what is said in a recording", ("!transcribe file=morning.ogg",),
        ),
        Command("help", show_help, Help, "command", "!help [COMMAND]", "explain the commands"),
    )
}  # fmt: skip


async def run(ctx: Context, line: str) -> Reply:
    """Run one line as a person wrote it. Whatever is wrong comes back as a `Problem`."""
    try:
        if not line.startswith(PREFIX):
            return await say(ctx, Ask(question=line))
        name = command_name(line)
        argument = line.removeprefix(PREFIX)[len(name) :]
        command = find(name)
        if command.admin and not ctx.admin:
            raise NotPermitted(f"!{command.name} is for those who manage this server. Ask one of them.")
        return await command.run(ctx, bind(command.parameters, command.text_field, argument))
    except ChorusError as error:
        return Problem(error.code, error.message)
    except Exception:
        log.exception("command failed")
        return OUR_FAULT


def command_name(line: str) -> str:
    """The word after the prefix, up to the first space or line break."""
    words = re.match(rf"{PREFIX}(\S*)", line)
    return words[1] if words else ""


def nearest(name: str) -> str | None:
    """The command that was meant, as far as one can guess."""
    near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
    return near[0] if near else None


def find(name: str) -> Command:
    """The command with this name. Raises `NotFound` with the nearest one."""
    if (command := COMMANDS.get(name.lower())) is not None:
        return command
    near = nearest(name)
    hint = f" Did you mean !{near}?" if near else ""
    raise NotFound(f"There is no command !{name}.{hint} !help lists them all.", code="unknown_command")
